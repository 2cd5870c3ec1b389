// Opens pages in Chromium, and collects what must not happen on them.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

// The packages are in the working folder, not beside this file.
const require = createRequire(`${process.cwd()}/`);
const playwright = await import(pathToFileURL(require.resolve('playwright-core')));
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 375, height: 812 };

export const launch = () =>
    playwright.default.chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--disable-gpu'] });

// Opens a page in a new context. `problems` gets reports of the policy, errors of the console, and requests that failed.
export const open = async (browser, problems, options = {}) => {
    const context = await browser.newContext({ viewport: WIDE, timezoneId: 'UTC', ...options });
    context.setDefaultTimeout(20_000);
    await context.addInitScript(() => {
        const report = (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
        addEventListener('securitypolicyviolation', report);
    });
    // ASSETS names a folder with changed assets, to look at them without a build.
    if (process.env.ASSETS) {
        const file = (url) => `${process.env.ASSETS}/${new URL(url).pathname.split('/').pop()}`;
        await context.route('**/assets/**', (route) => route.fulfill({ path: file(route.request().url()) }));
    }
    const page = await context.newPage();
    const found = (text) => problems.push(`${page.url()}: ${text}`);
    page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) found(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => found(`script: ${error.message}`));
    page.on('requestfailed', (request) => found(`${request.url()}: ${request.failure().errorText}`));
    return page;
};

// Returns the violations that axe-core finds on the page.
export const violations = async (page) => {
    await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true)));
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, any }) => `axe ${id}: ${html.slice(0, 160)} ${any[0]?.message ?? ''}`),
    );
};

// Returns the elements that are wider than the window.
export const overflow = (page) =>
    page.evaluate(() => {
        const root = document.documentElement;
        if (root.scrollWidth <= root.clientWidth) return [];
        const wide = [...document.body.querySelectorAll('*')].filter((element) => {
            const scrolls = element.parentElement.closest('.scroll, .side');
            return !scrolls && element.getBoundingClientRect().right > root.clientWidth + 0.5;
        });
        return [`${root.scrollWidth} px wide: ${wide.slice(0, 3).map((one) => one.outerHTML.slice(0, 80)).join(' | ')}`];
    });
