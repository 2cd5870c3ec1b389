// A receiver of webhooks on this machine.
import { createServer } from 'node:http';
import { once } from 'node:events';

export class Receiver {
    static async start() {
        const receiver = new Receiver();
        receiver.events = [];
        receiver.status = 200;
        receiver.http = createServer((request, response) => {
            request.resume();
            request.on('end', () => {
                if (receiver.status === 200) receiver.events.push(request.headers['webhook-id']);
                response.writeHead(receiver.status, { 'Content-Type': 'text/plain' });
                response.end(receiver.status === 200 ? 'ok' : 'the shop is closed <b>for today</b>');
            });
        });
        receiver.http.listen(0, '127.0.0.1');
        await once(receiver.http, 'listening');
        receiver.url = `http://127.0.0.1:${receiver.http.address().port}/hooks/licensing`;
        return receiver;
    }

    // Returns how often an event arrived.
    count(id) {
        return this.events.filter((event) => event === id).length;
    }

    stop() {
        this.http.close();
        this.http.closeAllConnections();
    }
}
