// Checks the tokens of clients/vectors with jose of npm, as python.py does with its libraries.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The package is in the working folder, not beside this file.
const require = createRequire(`${process.cwd()}/`);
const { createLocalJWKSet, jwtVerify } = await import(pathToFileURL(require.resolve('jose')));

const read = (name) => JSON.parse(readFileSync(`${process.argv[2]}/${name}`, 'utf8'));
const keys = Object.fromEntries(read('keys.json').keys.map(({ name, jwk }) => [name, jwk]));
const cases = read('tokens.json').cases.filter((one) => one.jwt_library);

// Returns why the token is refused, or null.
async function refusal(one) {
    const jwks = createLocalJWKSet({ keys: one.trusted.map((name) => keys[name]) });
    const required = ['aud', 'iat', ...(one.type === 'revocations' ? [] : ['exp'])];
    const options = {
        algorithms: ['EdDSA'],
        audience: one.product,
        currentDate: new Date(one.now * 1000),
        requiredClaims: required,
    };
    try {
        const { protectedHeader } = await jwtVerify(one.token, jwks, options);
        // jose ignores the case of `typ` and a prefix; the type is compared exactly.
        return protectedHeader.typ === `license-${one.type}+jwt` ? null : `typ ${protectedHeader.typ}`;
    } catch (error) {
        return `${error.name}: ${error.message}`;
    }
}

const counts = { good: 0, bad: 0 };
let wrong = 0;
for (const one of cases) {
    const good = one.error === null;
    counts[good ? 'good' : 'bad'] += 1;
    const reason = await refusal(one);
    if ((reason === null) !== good) {
        wrong += 1;
        console.log(`jose: '${one.name}': ${reason ?? 'accepted'}, expected is ${one.error ?? 'accepted'}`);
    }
}
console.log(`jose: ${counts.good} good and ${counts.bad} bad tokens`);
if (wrong || counts.good < 5 || counts.bad < 20) process.exit(1);
