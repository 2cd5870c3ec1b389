// Starts a server with a new SQLite database, and calls its API.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const READY = 'Ctrl-C stops';

export class Server {
    static async start(folder) {
        mkdirSync(folder);
        const flags = [
            ['--listen', '127.0.0.1:0'],
            // The receiver of the tests.
            ['--webhook-allow', '127.0.0.1/32'],
            ['--webhook-allow-http'],
            ['--webhook-schedule', '0s,24h'],
            ['--rate-limit', 'off'],
            ['--store-addresses'],
        ].flat();
        const child = spawn(process.env.SERVER, flags, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
        let log = '';
        child.stderr.on('data', (chunk) => (log += chunk));
        const message = await new Promise((resolve, reject) => {
            let printed = '';
            child.stdout.on('data', (chunk) => {
                printed += chunk;
                if (printed.includes(READY)) resolve(printed);
            });
            child.on('error', reject);
            child.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${log}`)));
        });
        const server = new Server();
        server.folder = folder;
        server.child = child;
        server.address = /address +http:\/\/(\S+)/.exec(message)[1];
        server.token = /admin token +(lkt_\w+)/.exec(message)[1];
        server.console = `http://${server.address}/console`;
        return server;
    }

    stop() {
        this.child.kill();
    }

    // Runs a command of the server program on its database. Returns what it prints.
    command(...words) {
        const options = { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
        return execFileSync(process.env.SERVER, ['--listen', this.address, ...words], options).trim();
    }

    // Returns a new link that signs in.
    link() {
        return this.command('console-link');
    }

    // Calls the API, and returns its JSON. Throws if the answer is not a success.
    async call(method, path, body, token = this.token) {
        const response = await fetch(`http://${this.address}/api/v1/${path}`, {
            method,
            headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
        return text ? JSON.parse(text) : {};
    }

    // Calls until the answer has the expected property, for at most 20 seconds. Returns the answer.
    async until(path, holds) {
        const end = Date.now() + 20_000;
        for (;;) {
            const answer = await this.call('GET', path);
            if (holds(answer)) return answer;
            if (Date.now() > end) throw new Error(`${path} stays ${JSON.stringify(answer)}`);
            await pause(100);
        }
    }
}
