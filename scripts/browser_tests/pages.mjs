// Every page of the console: its route, and a text that it shows. A test of license-console compares the routes with those
// of the router, so a new page needs a line here.
const PAGES = [
    { route: '/', text: 'Latest events' },
    { route: '/licenses', text: 'Never activated' },
    { route: '/licenses/{id}', text: 'What holds a slot' },
    { route: '/licenses/{id}/{action}', with: { action: 'suspend' }, text: 'Validations are denied until' },
    { route: '/licenses/{id}/{action}', with: { action: 'revoke' }, text: 'To confirm, type' },
    { route: '/issue', text: 'Issue licenses' },
    { route: '/licenses/{id}/edit', text: 'Change the license of' },
    { route: '/licenses/{id}/rotate-key', text: 'Replace the key of' },
    { route: '/licenses/{id}/block', text: 'Block a domain or a device' },
    { route: '/leases', text: 'Issue a lease' },
    { route: '/tokens', text: 'Tokens, sessions and links' },
    { route: '/tokens/new', text: 'Create a token' },
    { route: '/tokens/{token}/revoke', text: 'To confirm, type' },
    { route: '/audit', text: 'Latest first' },
    { route: '/webhooks', text: 'Receivers of events' },
    { route: '/webhooks/new', text: 'Add a webhook' },
    { route: '/webhooks/{endpoint}', text: 'Deliveries, newest first' },
    { route: '/webhooks/{endpoint}/rotate-secret', text: 'To confirm, type' },
    { route: '/webhooks/{endpoint}/delete', text: 'To confirm, type' },
    { route: '/webhooks/{endpoint}/deliveries/{event}', text: 'Attempts, newest first' },
    { route: '/plans', text: 'Products and plans' },
    { route: '/plans/{plan}', text: 'Newest first.' },
    { route: '/plans/{plan}/edit', text: 'Change the plan' },
    { route: '/plans/{plan}/archive', text: 'To confirm, type' },
    { route: '/customers', text: 'Customers by address' },
    { route: '/licenses/{id}/customer', text: 'Licenses, newest first' },
    { route: '/licenses/{id}/customer/erase', text: 'To confirm, type' },
    { route: '/usage', text: 'Licenses in use' },
    { route: '/usage', query: '?days=30&by=country', name: 'usage-by-country', text: 'By country' },
    { route: '/events/{event}', text: 'Deliveries of an event' },
    { route: '/jobs', text: 'Newest first. A job is kept' },
    { route: '/jobs/{job}', text: 'Progress' },
    { route: '/licenses/unusual', text: 'nusual' },
    { route: '/system', text: 'Jobs of this node' },
    { route: '/signing-keys', text: 'Keys, newest first' },
    { route: '/signing-keys/rotate', text: 'To confirm, type' },
    { route: '/signing-keys/{key}/revoke', text: 'To confirm, type' },
    { route: '/webhooks/{endpoint}/edit', text: 'Description, for your team' },
    { route: '/leases/release', text: 'elease' },
    { route: '/shortcuts', text: 'Keyboard shortcuts' },
    { route: '/time-zone', text: 'Time zone' },
    { route: '/new-plan', text: 'Create a plan' },
    { route: '/new-product', text: 'product' },
    { route: '/products/{product}/edit', text: 'measure' },
    { route: '/products/{product}/delete', text: 'To confirm, type' },
    { route: '/licenses/bulk', query: '?action=suspend&which=all&status=expired', text: 'What the job would do' },
];

// Pages that answer a form, with how to get there.
const ANSWERS = [
    { name: 'found', text: 'Licenses found', open: (hands) => hands.search('customer-1@example1.com') },
    { name: 'nothing-found', text: 'Nothing was found', open: (hands) => hands.search('nobody@example.com') },
    {
        name: 'issued',
        from: '/issue',
        text: 'Give each key to its customer.',
        open: async (hands) => {
            await hands.check('radio', /^starter/);
            await hands.fill('Number of licenses', '3');
            await hands.press('button', 'Issue');
        },
    },
    {
        name: 'token-created',
        from: '/tokens/new',
        text: 'Done',
        open: async (hands) => {
            await hands.fill('Name', 'Bücherei-Synchronisation — مزامنة');
            await hands.check('checkbox', 'licenses:read');
            await hands.press('button', 'Create');
        },
    },
    {
        name: 'plan-preview',
        from: '/plans/desktop/edit',
        text: 'What changes',
        open: async (hands) => {
            await hands.fill('Max devices', '5');
            await hands.press('button', 'Continue');
        },
    },
    {
        name: 'key-shown',
        from: '/licenses/{id}',
        text: 'What holds a slot',
        open: (hands) => hands.press('button', 'Show the key'),
    },
    {
        name: 'form-error',
        from: '/licenses?status=unknown',
        status: 422,
        text: 'The form has an error',
    },
    { name: 'not-found', from: '/nowhere', status: 404, text: 'There is no such page' },
];

// Returns the pages with their paths. `ids` has a value for each parameter of a route.
export const pages = (ids) => {
    const fill = (path, more) =>
        path.replace(/\{(\w+)\}/g, (_, name) => {
            const value = { ...ids, ...more }[name];
            if (!value) throw new Error(`no value for ${name} of ${path}`);
            return value;
        });
    const nameOf = (page) => page.name ?? (fill(page.route, { id: 'license', ...page.with, endpoint: 'webhook', plan: 'plan',
        token: 'token', job: 'job', key: 'key', product: 'product', event: 'event' }).slice(1).replaceAll('/', '-') || 'overview');
    return [
        ...PAGES.map((page) => ({ ...page, name: nameOf(page), path: fill(page.route, page.with) + (page.query ?? '') })),
        ...ANSWERS.map((page) => ({ ...page, path: fill(page.from ?? '/', {}) })),
    ];
};

// Pages of a new vendor, who has nothing yet.
export const EMPTY = [
    { name: 'empty-overview', path: '/', text: 'Three steps to the first license' },
    { name: 'empty-licenses', path: '/licenses', text: 'There is no license yet.' },
    { name: 'empty-customers', path: '/customers', text: 'No license has a customer yet.' },
    { name: 'empty-webhooks', path: '/webhooks', text: 'There is no webhook.' },
    { name: 'empty-usage', path: '/usage', text: 'Licenses in use' },
    { name: 'empty-jobs', path: '/jobs', text: 'There is no job.' },
    { name: 'empty-audit', path: '/audit', text: 'session.open' },
];
