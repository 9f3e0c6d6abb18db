// Pictures of the page, for whoever changes how it looks: node shots.mjs FOLDER

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, find } from './chromium.mjs';
import { ready } from './ready.mjs';

const folder = process.argv[2];
const program = find();
if (!folder || !program) {
  console.error('usage: node shots.mjs FOLDER, with chromium in the PATH');
  process.exit(2);
}
const { mock, url } = await ready();
const browser = new Browser(program);
for (const [name, scheme, width, height, whole] of [
  ['page', 'light', 1280, 1000, false], ['light', 'light', 1280, 1000, true], ['dark', 'dark', 1280, 1000, true], ['phone-light', 'light', 390, 844, true], ['phone-dark', 'dark', 390, 844, true],
]) {
  const page = await browser.page();
  await page.size(width, height);
  await page.media(scheme, 'reduce');
  await page.open(url);
  await page.until("document.getElementById('state').textContent === 'Live'");
  await page.until("document.querySelector('#follow [aria-pressed=true]')");
  await new Promise((done) => { setTimeout(done, 300); });
  ['deployed web 4.1.2 to zone b', '{"unit":"boiler","celsius":71.5}', '<script>alert(1)</script>', 'paid\u202e001 ot\u202c Mallory', 'x'.repeat(400)].forEach((body, i) => mock.say('deploys', body, i));
  mock.say('deploys', Buffer.from([0, 255, 17, 3]), 5);
  mock.fail(11);
  mock.convict(`liar of ${name}`, 'ab'.repeat(436));
  mock.happen('link-up', { text: 'a link to 5feceb66 is up' });
  mock.happen('event', { name: 'deploy', payload: 'web 4.1.2', author: 'aa'.repeat(32), position: '1/1' });
  await page.until("document.querySelectorAll('#rumors-rows tr').length > 5 && document.querySelectorAll('#events-rows tr').length > 3");
  await page.run("document.querySelector('#convictions details summary').click()");
  await new Promise((done) => { setTimeout(done, 1500); });
  writeFileSync(join(folder, `${name}.png`), await page.picture(whole));
}
await browser.end();
await mock.stop();
