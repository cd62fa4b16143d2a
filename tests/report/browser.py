# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven over its debugging pipe (Chrome DevTools Protocol) with Python's standard library alone."""
import base64
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ('chromium', 'chromium-browser', 'google-chrome')


def find():
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. `problems` collects what it wrote to the console as a warning or worse, and what it tried to load."""

    def __init__(self, seconds=60):
        self.seconds, self.problems, self.loads = seconds, [], []
        self.ids, self.buffer, self.answers = itertools.count(1), b'', {}
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self.out, self.input = ours_out, ours_in
        # The browser reads its commands at descriptor 3 and writes what it has to say at 4.
        command = ['sh', '-c', f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', 'sh', find(), '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
                   '--disable-extensions', '--disable-dev-shm-usage', '--hide-scrollbars', f'--user-data-dir={self.profile.name}',
                   '--remote-debugging-pipe', 'about:blank']
        self.process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.session = None
        target = next(t for t in self.call('Target.getTargets')['targetInfos'] if t['type'] == 'page')
        self.session = self.call('Target.attachToTarget', targetId=target['targetId'], flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(domain + '.enable')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.input)
        self.profile.cleanup()

    def call(self, method, **parameters):
        number = next(self.ids)
        message = {'id': number, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.out, json.dumps(message).encode() + b'\0')
        answer = self.wait_for(lambda: self.answers.pop(number, None))
        if 'error' in answer:
            raise RuntimeError(f'{method}: {answer["error"]["message"]}')
        return answer['result']

    def wait_for(self, test):
        end = time.monotonic() + self.seconds
        while True:
            found = test()
            if found is not None:
                return found
            if time.monotonic() > end or not select.select([self.input], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f'the browser said nothing for {self.seconds} s')
            self.read()

    def read(self):
        data = os.read(self.input, 1 << 20)
        if not data:
            raise RuntimeError('the browser ended')
        *messages, self.buffer = (self.buffer + data).split(b'\0')
        for text in messages:
            message = json.loads(text)
            if 'id' in message:
                self.answers[message['id']] = message
            else:
                self.note(message['method'], message['params'])

    def note(self, method, event):
        if method == 'Runtime.exceptionThrown':
            details = event['exceptionDetails']
            self.problems.append(details.get('exception', {}).get('description') or details['text'])
        elif method == 'Runtime.consoleAPICalled' and event['type'] in ('error', 'warning', 'assert'):
            self.problems.append(' '.join(str(a.get('value', a.get('description'))) for a in event['args']))
        elif method == 'Log.entryAdded' and event['entry']['level'] in ('error', 'warning'):
            self.problems.append(event['entry']['text'])
        elif method == 'Network.requestWillBeSent':
            self.loads.append(event['request']['url'])
        elif method == 'Page.loadEventFired':
            self.loaded = True

    def open(self, path, width=1100, height=900, dark=False, phone=False, media=''):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.media(dark, media)
        self.loaded = None
        self.call('Page.navigate', url=pathlib.Path(path).resolve().as_uri())
        self.wait_for(lambda: self.loaded)

    def media(self, dark=False, media=''):
        self.call('Emulation.setEmulatedMedia', media=media, features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def run(self, script):
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.call('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if 'exceptionDetails' in answer:
            raise RuntimeError(answer['exceptionDetails'].get('exception', {}).get('description', 'a script failed'))
        return answer['result'].get('value')

    def frame(self):
        """Waits until the page was drawn again."""
        self.run('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')

    def press(self, key):
        for kind in ('rawKeyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, code=key)

    def move(self, x, y):
        self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def screenshot(self, path, whole=True):
        data = self.call('Page.captureScreenshot', captureBeyondViewport=whole, **({'clip': self.whole()} if whole else {}))['data']
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def whole(self):
        size = self.call('Page.getLayoutMetrics')['cssContentSize']
        return {'x': 0, 'y': 0, 'width': size['width'], 'height': size['height'], 'scale': 1}

    def pdf(self, path):
        data = self.call('Page.printToPDF', preferCSSPageSize=True, printBackground=True)['data']
        pathlib.Path(path).write_bytes(base64.b64decode(data))
