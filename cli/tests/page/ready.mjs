// The page as the agent serves it, before a made-up network.

import { readFileSync } from 'node:fs';
import { Mock, TOKEN } from './mock.mjs';

export async function ready() {
  const page = readFileSync(new URL('../../src/agent/page/page.html', import.meta.url));
  // The test in Rust gives the headers that the agent sends.
  const headers = JSON.parse(process.env.PAGE_HEADERS ?? '{"content-type":"text/html; charset=utf-8"}');
  const mock = new Mock(page, headers);
  const base = await mock.listen();
  return { mock, base, url: `${base}#token=${TOKEN}` };
}
