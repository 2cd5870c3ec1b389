// The browser's tests. Arguments: `day` or `looks` runs only that part, and a second argument only pages whose name has it.
import { join } from 'node:path';
import { launch, open } from './browser.mjs';
import { fill, job } from './data.mjs';
import { workDay } from './day.mjs';
import { Keyboard } from './keyboard.mjs';
import { checkLooks } from './looks.mjs';
import { Mouse } from './mouse.mjs';
import { EMPTY, pages } from './pages.mjs';
import { Receiver } from './receiver.mjs';
import { Server } from './server.mjs';

const [part, only] = process.argv.slice(2);
const DAYS = [
    { name: 'scripts', Hands: Mouse, options: {} },
    { name: 'plain', Hands: Mouse, options: { javaScriptEnabled: false } },
    { name: 'keyboard', Hands: Keyboard, options: {} },
];

const problems = [];
const browser = await launch();
const receiver = await Receiver.start();
const empty = await Server.start(join(process.cwd(), 'empty'));
const server = await Server.start(join(process.cwd(), 'full'));
try {
    const ids = await fill(server, receiver);
    ids.token = (await server.call('POST', 'tokens', { name: 'Björn', scopes: ['licenses:read'] })).id;
    ids.job = await job(server);
    if (part !== 'looks') {
        for (const { name, Hands, options } of DAYS) {
            const page = await open(browser, problems, options);
            try {
                await workDay(page, new Hands(page), server, receiver, ids.endpoint, name);
            } catch (error) {
                const shown = await page.locator('main').innerText();
                problems.push(`the vendor's day (${name}) at ${page.url()}: ${error.message}\n${shown}`);
            }
            await page.context().close();
            console.log(`the vendor's day (${name})`);
        }
    }
    if (part !== 'day') {
        problems.push(...(await checkLooks(browser, server, pages(ids), only)));
        problems.push(...(await checkLooks(browser, empty, EMPTY, only)));
        console.log(`pages, light and dark, wide and narrow: ${pages(ids).length + EMPTY.length}`);
    }
} finally {
    await browser.close();
    server.stop();
    empty.stop();
    receiver.stop();
}
for (const problem of problems) console.error(problem);
if (problems.length) process.exitCode = 1;
