// A vendor with 10,000 licenses: long addresses, names in several scripts, every state.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LICENSES = 10_000;
const DAY = 24 * 3600 * 1000;

const LONG_EMAIL = 'accounts-payable.licensing-and-procurement.emea@subsidiary-holding.engineering.example.com';
const NAMES = [
    'Ada Lovelace',
    '株式会社東京計測サービス',
    'مؤسسة النور للبرمجيات',
    'שירותי תוכנה בע״מ',
    'Donaudampfschifffahrtsgesellschaft Elektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft mbH',
    '한국 소프트웨어 연구소',
    "O'Brien & Söhne <Verlag>",
    'Αθηναϊκή Πληροφορική',
];
const STATES = ['active', 'active', 'active', 'active', 'active', 'active', 'active', 'suspended', 'revoked'];
const PLANS = ['starter', 'professional', 'enterprise', 'desktop'];
const COUNTRIES = ['DE', 'US', 'JP', 'BR', 'EG', 'IN'];

const day = (offset) => new Date(Date.now() + offset * DAY).toISOString();

// Creates the plans, 10,000 imported licenses, and one license with everything that its page can show.
export const fill = async (server, receiver) => {
    await server.call('POST', 'products', { name: 'measure', display_name: '東京計測 Measure' });
    const terms = { max_domains: 0, max_devices: 3, term: { days: 365 } };
    const features = { 'export.pdf': true, seats: 25, edition: 'professional' };
    await server.call('POST', 'plans', { name: 'desktop', ...terms, offline_days: 7, offline_slots: 2, features });
    await server.call('POST', 'plans', { name: 'site', product: 'measure', ...terms, max_domains: 20, max_devices: null });
    await server.call('POST', 'plans', { name: 'retired-2019', ...terms });
    await server.call('POST', 'plans/retired-2019/archive');
    importLicenses(server);
    const webhook = { url: receiver.url, events: ['*'], description: 'CRM của chi nhánh — نظام الفواتير' };
    const endpoint = await server.call('POST', 'webhook-endpoints', webhook);
    const id = await licenseWithEverything(server);
    const event = await deliveries(server, receiver, endpoint.id, id);
    const [key] = (await server.call('GET', 'signing-keys')).data;
    return { id, product: 'measure', key: key.key_id ?? key.id ?? key.kid, plan: 'desktop', endpoint: endpoint.id, event };
};

// Imports licenses with slots and usage.
const importLicenses = (server) => {
    const lines = [{ type: 'export', version: 1 }];
    for (let index = 0; index < LICENSES; index++) {
        const id = `lic_b${String(index).padStart(6, '0')}`;
        const address = index % 50 === 7 ? `${index}.${LONG_EMAIL}` : `customer-${index % 4000}@example${index % 40}.com`;
        lines.push({
            type: 'license',
            id,
            key: randomBytes(20).toString('hex'),
            plan: PLANS[index % PLANS.length],
            state: STATES[index % STATES.length],
            customer_email: address,
            customer_name: NAMES[index % NAMES.length],
            external_id: `order-${100_000 + index}`,
            created_at: day(-300 + (index % 290)),
            expires_at: day((index % 500) - 60),
            max_domains: 3,
            max_devices: 3,
        });
        if (index % 100 !== 0) continue;
        const country = COUNTRIES[(index / 100) % COUNTRIES.length];
        for (let slot = 0; slot <= index % 3; slot++) {
            const domain = `shop-${slot}.example${index}.com`;
            lines.push({ type: 'activation', license: id, kind: 'domain', value: domain, country, created_at: day(-20) });
        }
        if (index % 500 !== 0) continue;
        for (let ago = 1; ago < 30; ago++) {
            const at = day(-ago);
            const usage = { type: 'rollup', day: at.slice(0, 10), license: id, country, first_at: at, last_at: at };
            const count = 40 + ((ago * 7 + index) % 23);
            lines.push({ ...usage, outcome: 'VALID', domain: `shop-0.example${index}.com`, device: null, count });
            if (ago % 4 !== 0) continue;
            lines.push({ ...usage, outcome: 'DOMAIN_LIMIT_REACHED', domain: 'copy.example.net', device: null, count: ago });
        }
    }
    writeFileSync(join(server.folder, 'licenses.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
    server.command('import', 'licenses.jsonl', '--key-format', 'shop=[0-9a-f]{40}');
};

const licenseWithEverything = async (server) => {
    const license = await server.call('POST', 'licenses', {
        plan: 'desktop',
        customer_email: LONG_EMAIL,
        customer_name: NAMES[2],
        external_id: 'order-2026-11-30/東京',
        max_domains: 3,
        metadata: { 'sales.person': 'יוסי כהן', note: 'renewed by phone; '.repeat(8).trim(), cost_center: '4711' },
    });
    const { id, key } = license;
    const labels = ['جهاز المحاسبة في الطابق الثالث', '東京支社の受付カウンター', 'Build server behind the old printer, second floor'];
    for (const [index, label] of labels.entries()) {
        const fingerprint = randomBytes(32).toString('hex');
        await server.call('POST', 'validate', { key, fingerprint, client: `editor/3.${index} (Linux; x86_64) <i>` });
        const { data } = await server.call('GET', `licenses/${id}/activations`);
        const device = data.find((one) => one.name === fingerprint);
        await server.call('PATCH', `licenses/${id}/activations/${device.id}`, { label });
        if (index > 0) await server.call('POST', 'leases', { key, fingerprint });
    }
    for (const domain of ['shop.example.com', 'a-very-long-name-of-a-host.staging.intranet.example.org']) {
        await server.call('POST', 'validate', { key, domain, client: 'shop/1.0' });
    }
    // Denied: the limit of devices is reached.
    await server.call('POST', 'validate', { key, fingerprint: 'f'.repeat(64) });
    await server.call('POST', `licenses/${id}/grants`, { feature: 'export.pdf', value: true, until: day(30), source: 'sub_1042' });
    await server.call('POST', `licenses/${id}/grants`, { feature: 'edition', value: 'طبعة خاصة' });
    await server.call('POST', `licenses/${id}/blocked`, { domain: '*.resold.example.net', reason: '転売の疑い' });
    return id;
};

// Sends events, of which one is answered by an error. Returns an event that arrived.
const deliveries = async (server, receiver, endpoint, id) => {
    const path = `webhook-endpoints/${endpoint}/deliveries`;
    await server.until(path, ({ data }) => data.length > 5 && data.every((one) => one.status === 'succeeded'));
    receiver.status = 503;
    await server.call('POST', `licenses/${id}/suspend`, { reason: 'الفاتورة غير مدفوعة — invoice 2026-118 is open' });
    const { data } = await server.until(path, ({ data }) => data.some((one) => one.tries > 0 && one.status !== 'succeeded'));
    receiver.status = 200;
    await server.call('POST', `licenses/${id}/reinstate`);
    return data.find((one) => one.status !== 'succeeded').id;
};

// Runs a bulk job over ten licenses, of which some are refused. Returns its id.
export const job = async (server) => {
    const ids = Array.from({ length: 10 }, (_, index) => `lic_b00${1000 + index}`);
    const started = await server.call('POST', 'licenses/bulk', { action: 'suspend', ids, reason: 'الفاتورة غير مدفوعة' });
    const { id } = await server.until(`jobs/${started.id}`, ({ status }) => status === 'completed');
    return id;
};
