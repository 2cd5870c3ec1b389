// Opens each page light and dark, wide and narrow: axe-core finds nothing, and nothing is wider than the window.
import { join } from 'node:path';
import { NARROW, WIDE, open, overflow, violations } from './browser.mjs';
import { Mouse } from './mouse.mjs';

const LOOKS = [
    { name: 'light', viewport: WIDE, colorScheme: 'light' },
    { name: 'dark', viewport: WIDE, colorScheme: 'dark' },
    { name: 'narrow', viewport: NARROW, colorScheme: 'light' },
    { name: 'narrow-dark', viewport: NARROW, colorScheme: 'dark' },
];

export const signIn = async (page, server) => {
    await page.goto(server.link());
    await page.getByRole('button', { name: /^Sign in as/ }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
};

// Checks pages. Returns what is wrong. If `only` is a text, checks those whose name has it.
export const checkLooks = async (browser, server, pages, only) => {
    const problems = [];
    for (const look of LOOKS) {
        let found = [];
        const page = await open(browser, found, { viewport: look.viewport, colorScheme: look.colorScheme });
        await checkSignIn(page, server, look, found);
        for (const one of pages.filter(({ name }) => !only || name.includes(only))) {
            const report = (text) => problems.push(`${one.name} (${look.name}): ${text}`);
            try {
                await visit(page, server, one);
                found.push(...(await violations(page)), ...(await overflow(page)));
            } catch (error) {
                found.push(error.message);
            }
            found.splice(0).filter((text) => !isExpected(one, text)).forEach(report);
            await picture(page, `${one.name}.${look.name}`);
        }
        await page.context().close();
    }
    return problems;
};

// The pages before the sign-in.
const checkSignIn = async (page, server, look, found) => {
    for (const [name, url] of [['sign-in', server.console], ['link', server.link()]]) {
        await page.goto(url);
        found.push(...(await violations(page)), ...(await overflow(page)));
        await picture(page, `${name}.${look.name}`);
    }
    await signIn(page, server);
};

const visit = async (page, server, one) => {
    const response = await page.goto(server.console + (one.path === '/' ? '' : one.path));
    if (response.status() !== (one.status ?? 200)) throw new Error(`status ${response.status()}`);
    if (one.open) await one.open(new Mouse(page));
    await page.getByRole('main').getByText(one.text).first().waitFor();
};

// Chromium reports a page with an error status in its console.
const isExpected = (one, text) => one.status && text.includes(`status of ${one.status}`);

const picture = async (page, name) => {
    if (!process.env.SCREENSHOTS) return;
    await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = false)));
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
};
