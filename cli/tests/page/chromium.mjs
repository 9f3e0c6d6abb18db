// Drives a headless Chromium over its pipe, without a library.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The browser of this machine, or null. */
export function find() {
  const names = [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].filter(Boolean);
  return names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) ?? null;
}

/** Longest wait, in milliseconds, for anything that should happen at once. */
export const PATIENCE = 60000;

export class Browser {
  constructor(program) {
    this.folder = mkdtempSync(join(tmpdir(), 'vouchsafe-page-'));
    const flags = [
      '--headless=new', '--remote-debugging-pipe', `--user-data-dir=${this.folder}`, '--disable-gpu', '--no-first-run', '--disable-dev-shm-usage',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
    ];
    // Its sandbox does not work for root, nor in most containers. It opens nothing here but the page.
    flags.push('--no-sandbox', 'about:blank');
    this.child = spawn(program, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.waiting = new Map();
    this.listeners = new Map();
    this.next = 1;
    let rest = Buffer.alloc(0);
    this.child.stdio[4].on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        this.take(JSON.parse(rest.subarray(0, end).toString()));
        rest = rest.subarray(end + 1);
      }
    });
    this.child.on('exit', () => {
      for (const [, fail] of this.waiting.values()) fail(new Error('the browser has ended'));
      this.waiting.clear();
    });
  }

  take(message) {
    if (message.id === undefined) {
      this.listeners.get(message.sessionId)?.(message.method, message.params);
      return;
    }
    const [done, fail] = this.waiting.get(message.id) ?? [];
    this.waiting.delete(message.id);
    if (message.error) fail?.(new Error(message.error.message));
    else done?.(message.result);
  }

  call(method, params = {}, sessionId = undefined) {
    const id = this.next;
    this.next += 1;
    return new Promise((done, fail) => {
      this.waiting.set(id, [done, fail]);
      this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** A page in a profile of its own. */
  async page() {
    const { browserContextId } = await this.call('Target.createBrowserContext');
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId);
    for (const domain of ['Page', 'Runtime', 'Network', 'Log', 'Accessibility']) await page.call(`${domain}.enable`);
    return page;
  }

  async end() {
    const ended = new Promise((done) => this.child.on('exit', done));
    await this.call('Browser.close').catch(() => {});
    await ended;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

class Page {
  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
    this.errors = [];
    this.requests = [];
    browser.listeners.set(session, (method, params) => this.told(method, params));
  }

  told(method, params) {
    if (method === 'Runtime.exceptionThrown') this.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type)) this.errors.push(JSON.stringify(params.args));
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) this.errors.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    if (method === 'Network.requestWillBeSent') this.requests.push({ url: params.request.url, at: Date.now() });
    if (method === 'Page.javascriptDialogOpening') {
      this.errors.push(`a dialogue: ${params.message}`);
      this.call('Page.handleJavaScriptDialog', { accept: false });
    }
  }

  call(method, params) { return this.browser.call(method, params, this.session); }

  async run(code) {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', { expression: code, returnByValue: true, awaitPromise: true, userGesture: true, allowUnsafeEvalBlockedByCSP: false });
    if (exceptionDetails) throw new Error(`${exceptionDetails.exception?.description ?? exceptionDetails.text} in ${code.slice(0, 200)}`);
    return result.value;
  }

  /** Waits until an expression holds; how many milliseconds that took. */
  async until(code, within = PATIENCE) {
    const begun = Date.now();
    for (;;) {
      // What is asked about may not be there yet.
      if (await this.run(`(() => { try { return Boolean(${code}) } catch { return false } })()`)) return Date.now() - begun;
      if (Date.now() - begun > within) throw new Error(`not within ${within} ms: ${code}`);
      await this.run('new Promise((done) => requestAnimationFrame(done))');
    }
  }

  open(url) { return this.call('Page.navigate', { url }); }

  size(width, height, scale = 1) {
    return this.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: width < 600 });
  }

  media(scheme, motion = 'no-preference') {
    return this.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: motion }] });
  }

  async press(key, code, text = undefined) {
    const of = { key, code: key, windowsVirtualKeyCode: code, text };
    await this.call('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', ...of });
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...of });
  }

  async picture(whole = false) {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: whole });
    return Buffer.from(data, 'base64');
  }
}
