// The page in a headless Chromium, before an agent that is made up: what it shows, what it does not do, and how it is used.
//
// Exit code: 0 all holds; 1 something does not; 77 there is no browser.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { Browser, PATIENCE, find } from './chromium.mjs';
import { BIDI, ODD, PROOF, SCRIPT, TOKEN, keyOf } from './mock.mjs';
import { ready } from './ready.mjs';

const program = find();
if (!program) {
  console.log('skipped: no chromium, chromium-browser or google-chrome in the PATH, and CHROMIUM names none');
  process.exit(77);
}
const checker = new URL('../../../target/page/node_modules/axe-core/axe.min.js', import.meta.url);
const axe = existsSync(checker) ? readFileSync(checker, 'utf8') : null;

// The page asks for all members once in half a minute: what is seen before was told by an event.
const BEFORE_WHOLE = 20000;
const LIVE = "document.getElementById('state').textContent === 'Live'";
const rows = (id) => `document.querySelectorAll('#${id} > *').length`;
const text = (id) => `document.getElementById('${id}').textContent`;
// Of a member, found by the whole of its key.
const row = (key) => `[...document.querySelectorAll('#members tr')].find((row) => row.textContent.includes('${key.slice(0, 8)}'))`;

/** Waits until the agent was asked for something. */
async function asked(is) {
  const begun = Date.now();
  while (!is()) {
    assert.ok(Date.now() - begun < PATIENCE, `not asked within ${PATIENCE} ms: ${is}`);
    await new Promise((done) => { setTimeout(done, 5); });
  }
}

/** Waits until what is done is seen within a second; how many milliseconds that took. A busy machine may take longer, and not each time. */
async function withinASecond(page, does, seen) {
  const times = [];
  for (let i = 0; i < 5; i += 1) {
    does(i);
    times.push(await page.until(seen(i)));
    if (times[i] < 1000) return times[i];
  }
  return assert.fail(`seen after ${times} ms`);
}

/** A page that is live, with what it asks and says noted. */
async function live(browser, mock, url) {
  const page = await browser.page();
  await page.size(1280, 900);
  await page.open(url);
  await page.until(LIVE);
  await page.until(`${rows('members')} === ${mock.net.members.length}`);
  await page.until("document.querySelector('#follow [aria-pressed=true]')");
  await asked(() => mock.topics.get('deploys')?.size);
  return page;
}

/** Nothing ran, nothing was asked of others, nothing was complained of. */
async function quiet(page, base) {
  assert.equal(await page.run('window.ran'), undefined, 'something of a member ran');
  assert.deepEqual(page.requests.map((one) => one.url).filter((url) => !url.startsWith(base) && !url.startsWith('data:')), [], 'requests elsewhere');
  assert.deepEqual(page.errors, [], 'errors on the console');
}

const tests = {
  async 'all members are there, and what they wrote is text'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    assert.equal(await page.run('location.href'), base, 'the token has left the address');
    assert.equal(await page.run("sessionStorage.getItem('vouchsafe-token')"), TOKEN);
    assert.ok(mock.asked.filter((one) => one.path === '/').every((one) => one.token === undefined), 'the page itself is asked for without it');
    for (const member of mock.net.members) assert.ok(await page.run(`Boolean(${row(member.key)})`), member.key);
    assert.equal(await page.run(`${row(keyOf('m1'))}.children[4].querySelector('bdi').textContent`), SCRIPT);
    assert.equal(await page.run(`${row(keyOf('m1'))}.querySelectorAll('img, script').length`), 0);
    // The whole of a long one is there for whoever opens it.
    await page.run(`${row(keyOf('m2'))}.children[4].querySelector('summary').click()`);
    await page.until(`${row(keyOf('m2'))}.children[4].querySelector('.whole bdi')`);
    assert.equal(await page.run(`${row(keyOf('m2'))}.children[4].querySelector('.whole').textContent`), ODD);
    const bidi = await page.run(`${row(keyOf('m3'))}.children[4].textContent`);
    for (const escape of ['\\u{202e}', '\\u{200b}', '\\u{2066}', '\\u{7}', '\\u{e0041}', '\\u{301}']) assert.ok(bidi.includes(escape), escape);
    assert.ok(!/[\p{C}\p{Default_Ignorable_Code_Point}]/u.test(await page.run('document.body.innerText.replace(/\\s/g, "")')), 'unseen characters');
    assert.ok(BIDI.includes('\u202e'));
    // The picture has the same members, and says so in words.
    assert.equal(await page.run("document.querySelectorAll('#picture-dots [data-key]').length"), mock.net.members.length - 1);
    assert.match(await page.run(text('picture-text')), /^20 members: 16 alive, 1 left, 1 unknown, 1 stale, 1 failed\. 7 links are up/);
    assert.match(await page.run(text('impaired')), /longer than 5 s.*What to do: move the store to a faster disk/s);
    assert.match(await page.run(text('topics-rows')), /caught up, 118 repaired.*37 missing, 240 repaired/s);
    assert.match(await page.run(text('links-rows')), /1\.4 s.*asked last; owes 3 answers/s);
    await quiet(page, base);
  },

  async 'a failure and a conviction appear within a second'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    await page.run("window.told = ''; new MutationObserver(() => { window.told += document.getElementById('announcer').textContent; }).observe(document.getElementById('announcer'), { childList: true, characterData: true, subtree: true })");
    const failed = (i) => `${row(keyOf(`m${9 + i}`))}.textContent.includes('failed') && ${text('events-rows')}.split('member-failed').length === ${2 + i}`;
    const failure = await withinASecond(page, (i) => mock.fail(9 + i), failed);
    const liar = (i) => keyOf(`liar of round ${i}`).slice(0, 8);
    const proof = (i) => PROOF.slice(i) + PROOF.slice(0, i);
    const conviction = await withinASecond(page, (i) => mock.convict(`liar of round ${i}`, proof(i)), (i) => `${text('convictions')}.includes('${liar(i)}')`);
    console.log(`    seen after ${failure} ms and ${conviction} ms`);
    await page.until("window.told.includes('has failed') && window.told.includes('was convicted')");
    const entry = `[...document.querySelectorAll('#convictions > li')].find((one) => one.textContent.includes('${liar(0)}'))`;
    await page.run(`${entry}.querySelector('summary').click()`);
    await page.until(`${entry}.querySelector('textarea')`);
    assert.equal(await page.run(`${entry}.querySelector('textarea').value`), PROOF);
    await page.call('Browser.grantPermissions', { permissions: ['clipboardReadWrite', 'clipboardSanitizedWrite'] }).catch(() => {});
    await page.run(`${entry}.querySelector('button').click()`);
    await page.until(`${entry}.querySelector('[role=status]').textContent !== ''`);
    mock.net.info.impaired = [];
    mock.happen('recovered', { text: 'the store keeps up again' });
    await page.until("document.getElementById('impaired').hidden");
    mock.happen('caught-up', { text: `topic ${keyOf('t1')}: links have nothing more` });
    await page.until(`${text('events-rows')}.includes('topic deploys: links have nothing more')`);
    mock.happen('member-removed', { text: 'removed', key: keyOf('m7') });
    await page.until(`!${row(keyOf('m7'))}`);
    await quiet(page, base);
  },

  async 'hostile rumors are text, lists are bounded, and one frame draws many'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    mock.say('deploys', SCRIPT, 1);
    mock.say('deploys', BIDI, 2);
    mock.say('deploys', Buffer.from([0, 255]), 3);
    await page.until(`${rows('rumors-rows')} === 3`);
    const said = await page.run(text('rumors-rows'));
    assert.ok(said.includes(SCRIPT) && said.includes('\\u{202e}') && said.includes('bytes in hex') && said.includes('00ff'), said);
    // How often it is drawn: each time the bars are set anew, which is one change.
    await page.run(`window.frames_ = 0; window.draws = 0;
      (function frame() { window.frames_ += 1; requestAnimationFrame(frame); })();
      new MutationObserver((records) => { window.draws += records.length; }).observe(document.getElementById('bars'), { childList: true });`);
    for (let i = 0; i < 1000; i += 1) mock.say('deploys', `rumor ${i}`, i);
    for (let i = 0; i < 300; i += 1) mock.happen('link-up', { text: `a link, the ${i}th` });
    await page.until(`${text('rumors-rows')}.includes('rumor 999') && ${text('events-rows')}.includes('the 299th')`);
    assert.equal(await page.run(rows('rumors-rows')), 200);
    assert.equal(await page.run(rows('events-rows')), 100);
    const [draws, frames] = await page.run('[window.draws, window.frames_]');
    assert.ok(draws > 0 && draws <= 2 * frames, `${draws} draws in ${frames} frames`);
    assert.equal(await page.run(text('n-minute')), '1\u2009003');
    // One that is open, or has the focus, stays so while others come.
    mock.say('deploys', 'y'.repeat(70000), 1);
    await page.until("document.querySelector('#rumors-rows summary')");
    await page.run("document.querySelector('#rumors-rows summary').click(); document.querySelector('#rumors-rows summary').focus()");
    mock.say('deploys', 'later', 1);
    await page.until(`${text('rumors-rows')}.includes('later')`);
    assert.equal(await page.run("document.activeElement.closest('details').open"), true);
    assert.equal(await page.run("document.activeElement.closest('details').querySelector('.whole').textContent.length"), 70000);
    // Another topic is followed when it is asked for, with its own name.
    await page.run("[...document.querySelectorAll('#follow button')].find((one) => one.textContent === '<b>topic</b>').click()");
    await asked(() => mock.topics.get('<b>topic</b>')?.size);
    mock.say('<b>topic</b>', 'there', 1);
    await page.until(`${text('rumors-rows')}.includes('<b>topic</b>') && ${text('rumors-rows')}.includes('there')`);
    await quiet(page, base);
  },

  async 'an agent that is gone is told, asked with growing pauses, and found again'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    mock.say('deploys', 'with a cursor', 1, 'cursor-7');
    await page.until(`${text('rumors-rows')}.includes('with a cursor')`);
    // The agent says where the page stands, also without an event.
    mock.stand(mock.watchers, 'life/7');
    mock.stand(mock.watchers, 'life/8');
    mock.happen('recovered', { text: 'what comes behind it' });
    await page.until(`${text('events-rows')}.includes('what comes behind it')`);
    await mock.stop();
    await page.until("!document.getElementById('lost').hidden");
    assert.match(await page.run(text('state')), /^Agent gone since \d\d:\d\d:\d\d$/);
    assert.equal(await page.run('document.title'), 'Gone: example');
    await page.until(`${text('lost-why')}.includes('Nobody answers')`);
    assert.match(await page.run(text('lost-why')), /is from \d\d:\d\d:\d\d/);
    assert.equal(await page.run(rows('members')), mock.net.members.length, 'what was known is still there');
    const [from, begun] = [page.requests.length, Date.now()];
    const requests = () => page.requests.slice(from);
    const tries = () => requests().filter((one) => one.url.includes('/v1/events')).map((one) => one.at);
    await asked(() => tries().length >= 4 && Date.now() - begun >= 6500);
    const early = requests().filter((one) => one.at - begun < 6500).length;
    assert.ok(early <= 8, `${early} requests`);
    const gaps = tries().slice(1).map((at, i) => at - tries()[i]);
    assert.ok(gaps.at(-1) > gaps[0], `pauses of ${gaps} ms`);
    await mock.listen();
    await page.run("document.getElementById('again').click()");
    // Before it asks by itself: its next pause is twice as long, give or take a fifth of each.
    await page.until(LIVE, tries().at(-1) + 1.2 * gaps.at(-1) - Date.now());
    assert.equal(await page.run("document.getElementById('lost').hidden"), true);
    await asked(() => mock.asked.some((one) => one.query.includes('from=cursor-7')));
    await asked(() => mock.asked.some((one) => one.path === '/v1/events' && one.query === '?from=life%2F8'));
    mock.fail(10);
    await page.until(`${row(keyOf('m10'))}.textContent.includes('failed')`, BEFORE_WHOLE);
    // The browser itself complains of requests that nobody answers.
    page.errors = page.errors.filter((error) => !/ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/.test(error));
    await quiet(page, base);
  },

  async 'a stream whose beginning is held back is not waited for'(browser, { mock, base, url }) {
    mock.holds = true;
    const page = await browser.page();
    await page.open(url);
    await page.until(LIVE);
    await asked(() => mock.watchers.size === 1);
    // A link tells of members that are linked otherwise now.
    mock.net.members[1].link = 'none';
    mock.happen('link-down', { text: 'a link is down' });
    await page.until(`${row(keyOf('m1'))}.children[2].textContent === 'none'`, BEFORE_WHOLE);
    await quiet(page, base);
  },

  async 'an agent that refuses says why, and is asked again'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    mock.stand(mock.watchers, 'life/4');
    mock.happen('recovered', { text: 'what comes before it' });
    mock.say('deploys', 'before it refuses', 1, 'cursor-3');
    await page.until(`${text('rumors-rows')}.includes('before it refuses') && ${text('events-rows')}.includes('what comes before it')`);
    mock.refuses = 'too many connections to the agent: close some first';
    await page.until("!document.getElementById('lost').hidden");
    assert.match(await page.run(text('lost')), /tells nothing.*It answers: too many connections/s);
    mock.refuses = null;
    const from = mock.asked.length;
    await page.until(LIVE);
    // It goes on where it stood.
    const again = (path, query) => mock.asked.slice(from).some((one) => one.path === path && one.query.includes(query));
    await asked(() => again('/v1/events', 'from=life%2F4') && again('/v1/subscribe', 'from=cursor-3'));
    page.errors = page.errors.filter((error) => !error.includes('503'));
    await quiet(page, base);
  },

  async 'a stream that is refused for now is asked for again from where it stood'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    mock.say('deploys', 'before it refuses', 1, 'cursor-3');
    await page.until(`${text('rumors-rows')}.includes('before it refuses')`);
    Object.assign(mock, { refuses: 'too many streams are open', refusesTopics: true });
    const from = mock.asked.length;
    const subscribed = () => mock.asked.slice(from).filter((one) => one.path === '/v1/subscribe');
    mock.leave('deploys');
    await asked(() => subscribed().length >= 2);
    mock.refuses = null;
    await asked(() => mock.topics.get('deploys').size === 1);
    assert.deepEqual(subscribed().filter((one) => !one.query.includes('from=cursor-3')), []);
    assert.equal(await page.run("document.getElementById('lost').hidden"), true);
    page.errors = page.errors.filter((error) => !error.includes('503'));
    await quiet(page, base);
  },

  async 'a page that nobody looks at asks for nothing'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    const look = (is) => page.run(`Object.defineProperty(document, 'visibilityState', { value: '${is}', configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`);
    await look('hidden');
    await asked(() => mock.watchers.size === 0 && mock.topics.get('deploys').size === 0);
    const from = mock.asked.length;
    await new Promise((done) => { setTimeout(done, 3000); });
    assert.deepEqual(mock.asked.slice(from), []);
    mock.fail(9);
    await look('visible');
    await page.until(`${LIVE} && ${row(keyOf('m9'))}.textContent.includes('failed')`);
    assert.match(await page.run(text('events-rows')), /nobody looked at this page/);
    await quiet(page, base);
  },

  async 'a token is asked for when it is missing or refused'(browser, { mock, base }) {
    const page = await browser.page();
    await page.open(`${base}#token=wrong`);
    await page.until("!document.getElementById('door').hidden");
    assert.match(await page.run(text('door-why')), /refused the token: this is not the token/);
    assert.equal(await page.run('location.hash'), '');
    assert.equal(await page.run("sessionStorage.getItem('vouchsafe-token')"), null);
    assert.equal(await page.run('document.activeElement.id'), 'token');
    for (const char of TOKEN.slice(0, 4)) await page.press(char, char.toUpperCase().charCodeAt(0), char);
    assert.equal(await page.run("document.getElementById('token').value"), TOKEN.slice(0, 4));
    await page.run(`document.getElementById('token').value = '${TOKEN}'`);
    await page.press('Enter', 13, '\r');
    await page.until(LIVE);
    assert.equal(await page.run('location.href'), base, 'no form was sent');
    // A reload finds it in this tab; another tab has to be told.
    await page.call('Page.reload');
    await page.until(LIVE);
    const other = await browser.page();
    await other.open(base);
    await other.until("!document.getElementById('door').hidden");
    assert.match(await other.run(text('door-why')), /wants its token/);
    // A link with a token, opened in a tab that has the page, is taken too.
    await other.run(`location.hash = 'token=${TOKEN}'`);
    await other.until(LIVE);
    assert.equal(await other.run('location.hash'), '');
    for (const one of [page, other]) {
      one.errors = one.errors.filter((error) => !error.includes('401'));
      await quiet(one, base);
    }
  },

  async 'the policy holds even if the page were tricked'(browser, { mock, base, url }) {
    if (!mock.headers['content-security-policy']) return console.log('    left out: run by cargo, which gives the policy');
    const page = await live(browser, mock, url);
    const tricks = await page.run(`(async () => {
      const out = [];
      const refused = (name, does) => { try { does(); out.push(name); } catch { /* As it should be. */ } };
      refused('markup', () => { document.body.innerHTML = '<p>'; });
      refused('inline script', () => { const script = document.createElement('script'); script.textContent = 'window.ran = 2'; document.body.append(script); if (window.ran !== 2) throw 0; });
      refused('code from a text', () => { (0, eval)('window.ran = 3'); });
      const handler = document.createElement('p');
      try { handler.setAttribute('onclick', 'window.ran = 4'); } catch { /* Trusted types may refuse it already. */ }
      document.body.append(handler);
      handler.click();
      if (window.ran) out.push('handler');
      try { await fetch('http://127.0.0.1:1/elsewhere'); out.push('request'); } catch { /* As it should be. */ }
      const style = document.createElement('style');
      style.textContent = 'body { outline: 9px solid red }';
      document.head.append(style);
      if (getComputedStyle(document.body).outlineWidth === '9px') out.push('style');
      return out;
    })()`);
    assert.deepEqual(tricks, []);
    assert.equal(await page.run('window.ran'), undefined);
    // Each of them was told of; so the page's own silence above means something.
    assert.ok(page.errors.length >= 4, page.errors.join('\n'));
  },

  async 'it is used by the keyboard, and each stop has a name and a ring'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    const stops = [];
    for (let i = 0; i < 400; i += 1) {
      await page.press('Tab', 9);
      const stop = await page.run(`(() => {
        const at = document.activeElement;
        if (at === document.body) return null;
        return { tag: at.tagName, id: at.id, words: at.textContent.slice(0, 30), ring: getComputedStyle(at).outlineStyle !== 'none' && parseFloat(getComputedStyle(at).outlineWidth) >= 2 };
      })()`);
      if (!stop || (stops.length && stop.tag === 'A' && stop.words === stops[0].words)) break;
      stops.push(stop);
    }
    assert.equal(stops[0].words, 'Skip to the contents');
    for (const id of ['find', 'only', 'hold']) assert.ok(stops.some((stop) => stop.id === id), `${id} can't be reached`);
    assert.ok(stops.filter((stop) => stop.tag === 'SUMMARY').length >= mock.net.members.length, 'members');
    assert.deepEqual(stops.filter((stop) => !stop.ring), []);
    // The first member opens by a key, and explains itself.
    await page.run("document.querySelector('#members summary').focus()");
    await page.press('Enter', 13, '\r');
    await page.until("document.querySelector('#members details').open && document.querySelector('#members button')");
    await page.press('Tab', 9);
    await page.press(' ', 32, ' ');
    await page.until("document.querySelector('#members details').textContent.includes('<i>the signature</i> and the chain hold')");
    await page.run("document.getElementById('find').focus()");
    for (const char of 'batch') await page.press(char, char.toUpperCase().charCodeAt(0), char);
    await page.until(`${rows('members')} === 1`);
    const { nodes } = await page.call('Accessibility.getFullAXTree');
    const nameless = nodes.filter((node) => !node.ignored && node.properties?.some((one) => one.name === 'focusable' && one.value.value) && node.role?.value !== 'main' && !node.name?.value);
    assert.deepEqual(nameless.map((node) => node.role?.value), []);
    const roles = new Set(nodes.map((node) => node.role?.value));
    for (const role of ['banner', 'navigation', 'main', 'region', 'table', 'columnheader', 'rowheader', 'status', 'log', 'image']) assert.ok(roles.has(role) || (role === 'image' && roles.has('img')), `${role} of ${[...roles]}`);
    await quiet(page, base);
  },

  async 'a phone shows it in one column, and nothing moves for who wants none'(browser, { mock, base, url }) {
    const page = await live(browser, mock, url);
    for (const width of [320, 390, 768]) {
      await page.size(width, 800);
      mock.say('deploys', 'w'.repeat(300), 1);
      const inside = await page.run('[document.documentElement.scrollWidth, window.innerWidth]');
      assert.ok(inside[0] <= width, `${inside} at ${width}`);
    }
    await page.size(390, 800);
    const lefts = await page.run("[...document.querySelectorAll('main > section:not([hidden])')].map((one) => Math.round(one.getBoundingClientRect().left))");
    assert.equal(new Set(lefts).size, 1, String(lefts));
    await page.media('light', 'reduce');
    mock.say('deploys', 'still', 1);
    await page.until(`${text('rumors-rows')}.includes('still')`);
    assert.equal(await page.run("getComputedStyle(document.querySelector('#rumors-rows tr th')).animationName"), 'none');
    await quiet(page, base);
  },

  async 'the checker of accessibility finds nothing, in both themes and at both widths'(browser, { mock, base, url }) {
    if (!axe) return console.log('    left out: no axe-core; cli/tests/page/install.sh installs it');
    const page = await live(browser, mock, url);
    mock.say('deploys', BIDI, 1);
    mock.say('deploys', 'z'.repeat(300), 1);
    mock.convict('liar', PROOF);
    mock.fail(11);
    await page.until(`${rows('events-rows')} === 2 && ${rows('rumors-rows')} === 2`);
    await page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    await page.media('light', 'reduce');
    await page.run(`${axe}; undefined`);
    for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 390], ['dark', 390]]) {
      await page.media(scheme, 'reduce');
      await page.size(width, 900);
      const found = await page.run(`axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map((one) => one.id + ': ' + one.help + ' ' + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + ' ' + (node.any[0] ? node.any[0].message : '')).join(' | ')))`);
      assert.deepEqual(found, [], `${scheme} at ${width}`);
    }
    await quiet(page, base);
  },
};

const browser = new Browser(program);
const only = process.argv[2] ?? '';
let failed = 0;
for (const [name, test] of Object.entries(tests).filter(([name]) => name.includes(only))) {
  const stage = await ready();
  try {
    await test(browser, stage);
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
  await stage.mock.stop().catch(() => {});
}
await browser.end();
process.exitCode = failed ? 1 : 0;
