// The vendor's day. Each step uses only what a person sees, and waits for what a person would read.
import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

// Works through the day with these hands. `name` makes its customers and plans differ from those of other days.
export const workDay = async (page, hands, server, receiver, endpoint, name) => {
    const see = (text) => page.getByText(text).first().waitFor();
    const heading = (name) => page.getByRole('heading', { name, level: 1 }).waitFor();
    const email = `${name}@customer.example.com`;
    const device = `${name} notebook`;

    // Sign in by a link.
    await page.goto(server.link());
    await hands.press('button', 'Sign in as first admin token');
    await heading('Overview');

    // Issue a license.
    const plan = `plan-${name}`;
    await server.call('POST', 'plans', { name: plan, max_domains: 0, max_devices: 2, term: { days: 365 } });
    await hands.press('link', 'Issue license');
    await heading('Issue licenses');
    await hands.check('radio', new RegExp(`^${plan} `));
    await hands.fill('E-mail of the customer', email);
    await hands.press('button', 'Issue');
    await see('Give each key to its customer.');
    const key = await page.locator('.key span').first().innerText();

    // The customer uses it on a device.
    const fingerprint = randomBytes(32).toString('hex');
    const verdict = await server.call('POST', 'validate', { key, fingerprint });
    assert.equal(verdict.valid, true, JSON.stringify(verdict));

    // The customer reads the key over the phone: one symbol is wrong.
    await hands.search(mistyped(key));
    await heading(email);
    const id = /lic_\w+/.exec(page.url())[0];
    const { data } = await server.call('GET', `licenses/${id}/activations`);
    await server.call('PATCH', `licenses/${id}/activations/${data[0].id}`, { label: device });
    await page.reload();

    // Release the device.
    await see(device);
    await hands.press('button', `Release ${device}`);
    await see('The slot is released.');
    await see('No slot is in use.');

    // Change the plan, for all its licenses.
    await hands.press('link', 'Plans');
    await heading('Products and plans');
    await hands.press('link', plan);
    await heading(plan);
    await hands.press('link', 'Change');
    await hands.fill('Max devices', '4');
    await hands.press('button', 'Continue');
    await see('What changes');
    await hands.check('radio', /^All licenses of the plan: 1/);
    await hands.press('button', 'Change the plan');
    await see('Progress');
    await server.until(`licenses/${id}`, (license) => license.max_devices === 4);

    // Suspend two licenses at once, with a reason.
    const pair = await server.call('POST', 'licenses/batch', { plan, count: 2, customer_email: email });
    await hands.press('link', 'Plans');
    await heading('Products and plans');
    await hands.press('link', plan);
    await heading(plan);
    await hands.press('link', 'Show its licenses');
    await heading('Licenses');
    for (const license of pair.data) await hands.check('checkbox', `Select ${license.id} of ${email}`);
    await hands.choose('Action', 'Suspend');
    await hands.press('button', 'Continue');
    await see('What the job would do');
    await hands.fill('Reason, for your team', `the invoice of ${name} is open`);
    await hands.press('button', 'Suspend');
    await see('Progress');
    const job = new URL(page.url()).pathname.split('/').at(-1);
    await server.until(`jobs/${job}`, ({ status }) => status === 'completed');
    for (const license of pair.data) {
        await server.until(`licenses/${license.id}`, ({ status }) => status === 'suspended');
    }
    await page.reload();
    await see('completed');
    await see(`the invoice of ${name} is open`);

    // Replay a webhook: the receiver gets the same event again.
    await hands.press('link', 'Webhooks');
    await heading('Webhooks');
    await hands.press('link', receiver.url);
    await heading(receiver.url);
    const deliveries = await server.until(
        `webhook-endpoints/${endpoint}/deliveries`,
        ({ data }) => data[0].status === 'succeeded',
    );
    const event = deliveries.data[0].id;
    await page.reload();
    await hands.press('link', deliveries.data[0].type);
    await heading(deliveries.data[0].type);
    await see('succeeded');
    const before = receiver.count(event);
    await hands.press('button', 'Send again');
    await see('The event is sent again.');
    await until(() => receiver.count(event) > before, 'the receiver gets the event again');

    // Create a token, which works.
    await hands.press('link', 'Access');
    await heading('Access');
    await hands.press('link', 'Create a token');
    await hands.fill('Name', `${name} shop`);
    await hands.check('checkbox', 'licenses:read');
    await hands.press('button', 'Create');
    await see('lkt_');
    const token = await page.locator('#secret').innerText();
    assert.equal((await server.call('GET', `licenses/${id}`, undefined, token)).id, id);
    await hands.press('link', 'Done');
    await see(`${name} shop`);

    // Sign out: the pages ask for a sign-in.
    const last = page.url();
    await hands.press('button', 'Sign out');
    await heading('Sign in');
    await page.goto(last);
    await heading('Sign in');
};

// Returns the key with another symbol in its middle.
const mistyped = (key) => {
    const at = key.lastIndexOf('-') - 2;
    return key.slice(0, at) + (key[at] === 'A' ? 'B' : 'A') + key.slice(at + 1);
};

const until = async (holds, what) => {
    const end = Date.now() + 20_000;
    while (!holds()) {
        if (Date.now() > end) throw new Error(`it is not so: ${what}`);
        await pause(50);
    }
};
