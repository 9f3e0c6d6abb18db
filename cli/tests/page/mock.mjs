// An agent's interface, as docs/api.md has it, with a network that is made up and members that are hostile.

import http from 'node:http';
import { createHash } from 'node:crypto';

export const TOKEN = 'c0ffee'.repeat(8);
export const PROOF = createHash('sha512').update('proof').digest('hex').repeat(7).slice(0, 872);
export const SCRIPT = '<script>window.ran = "metadata"</script><img src=x onerror="window.ran = 1">';
// What the agent makes of 512 bytes that are no text: escapes, and replacement characters.
export const ODD = Array.from({ length: 512 }, (_, i) => (i % 3 === 0 ? '\ufffd' : i % 3 === 1 ? `\\u{${(i % 32).toString(16)}}` : String.fromCharCode(33 + (i % 90)))).join('');
// And what a text may hold that turns the direction, prints as nothing, or climbs over its neighbours.
export const BIDI = 'admin\u202egpj.exe\u200b\u2066x\u2069\u0007\u{e0041} שלום e' + '\u0301'.repeat(40);

export const keyOf = (name) => createHash('sha256').update(String(name)).digest('hex');

const now = Date.now();
function member(i, state, link, metadata) {
  return {
    key: keyOf(`m${i}`), state, since_ms: now - 60000 * (i + 1), boot_ms: now - 3600000 * (i + 1), period_s: 15, link,
    addresses: [`192.0.2.${i + 1}:7946`], metadata,
  };
}

export function network() {
  const members = [
    { ...member(0, 'alive', 'none', '{"role":"gate"}'), key: keyOf('node') },
    member(1, 'alive', 'up', SCRIPT), member(2, 'alive', 'up', ODD), member(3, 'alive', 'up', BIDI),
    member(4, 'alive', 'up', '{"role":"web","zone":"b"}'), member(5, 'stale', 'quiet', '{"role":"web","zone":"c"}'),
    member(6, 'failed', 'none', '{"role":"batch"}'), member(7, 'left', 'none', ''), member(8, 'unknown', 'none', 'db-3'),
  ];
  for (let i = 9; i < 20; i += 1) members.push(member(i, 'alive', i < 11 ? 'up' : 'none', `{"role":"worker","rack":${i}}`));
  const link = (i, extra) => ({
    peer: keyOf(`m${i}`), dialled: i % 2 === 0, live: true, rtt: { secs: 0, nanos: 800000 * (i + 1) ** 2 }, copies_in: 1000 * i, accepted_first: 310 * i,
    queued_bytes: i * 700, owed_pulls: 0, wanted_from: 0, serve_delay: { secs: 0, nanos: 3100000 * i }, last_resort: false, waiting_verification: 0,
    waiting_bytes: 0, listens: true, sees_us_at: null, members: 20, keep_alive_ms: 5000, ...extra,
  });
  return {
    info: {
      node: keyOf('node'), author: keyOf('author'), network: 'example', network_id: keyOf('net'), address: `${keyOf('node')}@192.0.2.1:7946`, listen: '0.0.0.0:7946',
      links: 7, members_here: 16, topics: ['deploys', 'sensors', '<b>topic</b>'], state: '/var/lib/vouchsafe', profile: 'default', version: '0.1.0', pid: 4242, started_ms: now - 7200000,
      impaired: [{ what: 'StoreSlow', for_s: 42, text: 'keeping what is said takes longer than 5 s', remedy: 'move the store to a faster disk, or find what keeps this one busy' }],
    },
    topics: [
      { name: 'deploys', id: keyOf('t1'), kind: 'log', keys: null, kept: true, max_body: 1024, repair: { links: 5, caught_up: 5, missing: 0, repaired: 118 } },
      { name: 'sensors', id: keyOf('t2'), kind: 'state', keys: 4096, kept: true, max_body: 512, repair: { links: 5, caught_up: 2, missing: 37, repaired: 240 } },
      { name: '<b>topic</b>', id: keyOf('t3'), kind: 'log', keys: null, kept: false, max_body: 1024, repair: null },
    ],
    stats: {
      links: [1, 2, 3, 4, 9, 10].map((i) => link(i)).concat(link(5, { last_resort: true, owed_pulls: 3, rtt: { secs: 1, nanos: 400000000 } })),
      topics: [{ topic: keyOf('t1'), bundles: 1204, body_bytes: 220400, links: 6 }, { topic: keyOf('t2'), bundles: 88, body_bytes: 9000, links: 6 }],
    },
    members,
    evidence: {
      convictions: [{ at_ms: now - 500000, author: keyOf('liar0'), evidence: PROOF.split('').reverse().join(''), said: [{ topic: keyOf('t1'), position: '880111/3' }, { topic: keyOf('t1'), position: '880111/3' }] }],
      offences: [{ at_ms: now - 400000, peer: keyOf('m30'), offence: 'a forged signature' }, { at_ms: now - 300000, peer: keyOf('m31'), offence: 'a frame that can\'t be decoded' }],
      without_proof_here: [], forgotten: 0, missed_events: 0, banned: [keyOf('m30')], expelled: [{ key: keyOf('m32'), for_s: 5400 }],
    },
  };
}

export class Mock {
  constructor(page, headers) {
    this.page = page;
    this.headers = headers;
    this.net = network();
    this.watchers = new Set();
    this.topics = new Map();
    this.asked = [];
    this.port = 0;
    this.refuses = null;
    // Whether it refuses streams of topics alone.
    this.refusesTopics = false;
    this.holds = false;
  }

  async listen() {
    this.server = http.createServer((request, response) => this.answer(request, response));
    await new Promise((done) => this.server.listen(this.port, '127.0.0.1', done));
    this.port = this.server.address().port;
    return `http://127.0.0.1:${this.port}/`;
  }

  async stop() {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    this.watchers.clear();
    this.topics.clear();
    await closed;
  }

  answer(request, response) {
    const url = new URL(request.url, 'http://mock');
    this.asked.push({ method: request.method, path: url.pathname, token: request.headers.authorization, query: url.search });
    if (url.pathname === '/') {
      response.writeHead(200, this.headers);
      return response.end(this.page);
    }
    const json = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(`${JSON.stringify(value)}\n`);
    };
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return json(401, { error: 'this is not the token: read the token file' });
    if (this.refuses && (!this.refusesTopics || url.pathname === '/v1/subscribe')) return json(503, { error: this.refuses });
    const stream = (set) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      // Its head goes out with the first part of its body.
      if (!this.holds) response.write(': nothing new\n\n');
      set.add(response);
      response.on('close', () => set.delete(response));
    };
    const { net } = this;
    switch (url.pathname) {
      case '/v1/info': return json(200, net.info);
      case '/v1/topics': return json(200, { topics: net.topics });
      case '/v1/stats': return json(200, { node: net.stats, agent: {} });
      case '/v1/members': return json(200, { members: net.members });
      case '/v1/evidence': return json(200, net.evidence);
      case '/v1/explain': return json(200, { text: `member      ${url.searchParams.get('key')}\nchecked     <i>the signature</i> and the chain hold\n`, holds: true });
      case '/v1/events': return stream(this.watchers);
      case '/v1/subscribe': {
        const name = url.searchParams.get('topic');
        if (!this.topics.has(name)) this.topics.set(name, new Set());
        return stream(this.topics.get(name));
      }
      default: return json(404, { error: `there is no ${url.pathname}` });
    }
  }

  send(to, kind, data, id) {
    for (const one of to) one.write(`event: ${kind}\n${id ? `id: ${id}\n` : ''}data: ${JSON.stringify(data)}\n\n`);
  }

  stand(to, id) { for (const one of to) one.write(`id: ${id}\n\n`); }

  /** Ends all streams of a topic. */
  leave(topic) { for (const one of this.topics.get(topic) ?? []) one.end(); }

  happen(kind, data) { this.send(this.watchers, kind, { kind, at_ms: Date.now(), ...data }); }

  say(topic, body, i = 0, id = undefined) {
    const rumor = { id: keyOf(body), author: keyOf(`author${i % 7}`), position: `${880200 + i}/1` };
    this.send(this.topics.get(topic) ?? [], 'rumor', typeof body === 'string' ? { ...rumor, body } : { ...rumor, body_hex: body.toString('hex') }, id);
  }

  fail(i) {
    const one = this.net.members.find((member) => member.key === keyOf(`m${i}`));
    Object.assign(one, { state: 'failed', since_ms: Date.now(), link: 'none' });
    this.happen('member-failed', { text: `${one.key.slice(0, 8)} has failed: no sign of life within its lease`, key: one.key, member: one });
  }

  convict(name, proof) {
    const author = keyOf(name);
    this.net.evidence.convictions.push({ at_ms: Date.now(), author, evidence: proof, said: [{ topic: keyOf('t1'), position: '880200/1' }, { topic: keyOf('t1'), position: '880200/1' }] });
    this.happen('convicted', { text: `${author.slice(0, 8)} was convicted: it said two things at 880200/1`, detail: { author, evidence: proof } });
  }
}
