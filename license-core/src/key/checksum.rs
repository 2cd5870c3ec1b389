//! The three check symbols: a Reed–Solomon code over GF(32).
//!
//! The `n` symbols of a key are the coefficients of a polynomial, highest power first. Its values at α, α²
//! and α³ are the [`Residue`]. A key is valid if its residue equals the [`target`] of its format. Any three
//! columns of the code are independent, so **one, two or three wrong symbols always change the residue**,
//! and so does every swap. A single wrong symbol can be computed from the change (see [`correction`]). Other
//! errors pass once in 32,768.
//!
//! Why the target is not zero: rotating a word left by `r` multiplies value `j` by α^(rj) and adds
//! `F(α^j)·(1 + α^(nj))`, where the polynomial F holds the `r` rotated symbols. With target zero, F = 0
//! makes one word in 32 survive rotation by one. With target `t` a word survives only if `F(α^j) = t_j·(1 +
//! α^(rj)) / (1 + α^(nj))` for all three `j`. F has `r` coefficients, so for `r` of 1 or 2 there is a `t`
//! for which no F fits: **rotations by one or two symbols, either way, are always detected**. From `r` = 3
//! on some F always fits, and one word in 32,768 survives. The generator discards those words
//! ([`survives_a_rotation`]), so **every rotation of an issued key is detected**.

/// Number of check symbols at the end of a key.
pub(super) const CHECK_SYMBOLS: usize = 3;

/// Length of the longest word: seven groups of four. The code supports up to 31 symbols.
pub(super) const MAX_SYMBOLS: usize = 28;

/// Order of α, a root of x⁵ + x² + 1.
const ORDER: usize = 31;

/// `EXP[i]` = α^i, stored twice so that a sum of two logarithms needs no reduction.
const EXP: [u8; 2 * ORDER] = {
    let mut table = [0; 2 * ORDER];
    let mut value = 1;
    let mut i = 0;
    while i < table.len() {
        table[i] = value;
        value <<= 1;
        if value > 31 {
            value ^= 0b10_0101;
        }
        i += 1;
    }
    table
};

/// `LOG[EXP[i]]` = i. `LOG[0]` is unused.
const LOG: [usize; 32] = {
    let mut table = [0; 32];
    let mut i = 0;
    while i < ORDER {
        table[EXP[i] as usize] = i;
        i += 1;
    }
    table
};

/// `CONTRIBUTION[p][s]` is the residue of symbol `s` at power `p` alone. Unlike in Horner's scheme, the
/// lookups do not depend on each other.
static CONTRIBUTION: [[Residue; 32]; MAX_SYMBOLS] = {
    let mut table = [[Residue(0); 32]; MAX_SYMBOLS];
    let mut power = 0;
    while power < MAX_SYMBOLS {
        let mut log = 0;
        while log < ORDER {
            let values =
                [EXP[(log + power) % ORDER], EXP[(log + 2 * power) % ORDER], EXP[(log + 3 * power) % ORDER]];
            table[power][EXP[log] as usize] = Residue::pack(values);
            log += 1;
        }
        power += 1;
    }
    table
};

/// The values of a word at α, α² and α³, five bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Residue(u16);

impl Residue {
    const fn pack([first, second, third]: [u8; 3]) -> Self {
        Self(first as u16 | (second as u16) << 5 | (third as u16) << 10)
    }

    fn values(self) -> [u8; 3] {
        [0, 5, 10].map(|shift| (self.0 >> shift & 31) as u8)
    }

    /// Adds `symbol` (0 to 31) at `power`, the number of symbols to its right.
    pub(super) fn add(&mut self, power: usize, symbol: u8) {
        *self = self.minus(CONTRIBUTION[power][usize::from(symbol)]);
    }

    /// Returns the difference, which is also the sum: GF(32) has characteristic 2.
    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    fn of(word: &[u8]) -> Self {
        let mut residue = Self::default();
        for (power, &symbol) in word.iter().rev().enumerate() {
            residue.add(power, symbol);
        }
        residue
    }
}

/// Returns the residue of keys with this prefix and number of symbols.
///
/// It is derived from a hash of the prefix, so a key with a changed prefix fails its check. About one in
/// 32,000 pairs of prefixes shares a target, so callers also compare the prefix. Any change here invalidates
/// every issued key.
pub(super) fn target(prefix: &str, symbols: usize) -> Residue {
    let mut hash = blake3::Hasher::new_derive_key("license-core key format v1: target residue");
    hash.update(&symbols.to_le_bytes()[..1]).update(prefix.as_bytes());
    let mut candidates = hash.finalize_xof();
    loop {
        let mut bytes = [0; 2];
        candidates.fill(&mut bytes);
        let candidate = Residue(u16::from_le_bytes(bytes) & 0x7fff);
        if !(1..=2).any(|by| some_word_survives(candidate, symbols, by)) {
            return candidate;
        }
    }
}

/// Returns whether any word with residue `target` keeps it when rotated `by` symbols (1 or 2) either way.
fn some_word_survives(target: Residue, symbols: usize, by: usize) -> bool {
    let values = target.values();
    let wanted: [u8; 3] = std::array::from_fn(|i| {
        let j = i + 1;
        // 1 + α^(nj) is not zero: 31 is prime, and neither n nor j is a multiple of it.
        divide(multiply(values[i], 1 ^ power_of_alpha(by * j)), 1 ^ power_of_alpha(symbols * j))
    });
    let [square, slope, _] = parabola(wanted);
    square == 0 && (by == 2 || slope == 0)
}

/// Fills in the last three symbols of `word` so that its residue is `target`.
pub(super) fn complete(word: &mut [u8], target: Residue) {
    let checks = word.len() - CHECK_SYMBOLS..;
    word[checks.clone()].fill(0);
    let missing = Residue::of(word).minus(target);
    // The check symbols are the coefficients of the parabola that adds the missing residue.
    word[checks].copy_from_slice(&parabola(missing.values()));
}

/// Returns the index of the wrong symbol and the value to XOR it with, if it is the only one.
///
/// `difference` is found ^ wanted. An error `e` at power `p` leaves e·α^p, e·α^2p, e·α^3p: a geometric
/// series whose ratio gives the position and whose first value gives the error. The code has distance 4, so
/// the answer is unique.
pub(super) fn correction(difference: Residue, symbols: usize) -> Option<(usize, u8)> {
    let [first, second, third] = difference.values();
    if first == 0 || second == 0 || third == 0 {
        return None;
    }
    let ratio = divide(second, first);
    let power = LOG[usize::from(ratio)];
    (divide(third, second) == ratio && power < symbols).then(|| (symbols - 1 - power, divide(first, ratio)))
}

/// Returns whether `word`, rotated by any number of symbols, keeps the residue `target`.
pub(super) fn survives_a_rotation(word: &[u8], target: Residue) -> bool {
    (1..word.len()).any(|by| {
        let (left, right) = word.split_at(by);
        let mut residue = Residue::default();
        for (power, &symbol) in left.iter().rev().chain(right.iter().rev()).enumerate() {
            residue.add(power, symbol);
        }
        residue == target
    })
}

/// Returns the a, b, c for which a·x² + b·x + c has these values at α, α² and α³ (Newton interpolation).
fn parabola([first, second, third]: [u8; 3]) -> [u8; 3] {
    let [x1, x2, x3] = [1, 2, 3].map(power_of_alpha);
    let slope12 = divide(first ^ second, x1 ^ x2);
    let slope23 = divide(second ^ third, x2 ^ x3);
    let a = divide(slope12 ^ slope23, x1 ^ x3);
    let b = slope12 ^ multiply(a, x1 ^ x2);
    let c = first ^ multiply(x1, b ^ multiply(a, x1));
    [a, b, c]
}

fn power_of_alpha(exponent: usize) -> u8 {
    EXP[exponent % ORDER]
}

fn multiply(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 { 0 } else { EXP[LOG[usize::from(a)] + LOG[usize::from(b)]] }
}

/// Divides by `b`, which must not be zero.
fn divide(a: u8, b: u8) -> u8 {
    if a == 0 { 0 } else { EXP[LOG[usize::from(a)] + ORDER - LOG[usize::from(b)]] }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const LENGTHS: [usize; 4] = [16, 20, 24, 28];

    fn random_word(rng: &mut ChaCha8Rng, symbols: usize, target: Residue) -> Vec<u8> {
        let mut word = vec![0; symbols];
        rng.fill_bytes(&mut word);
        for symbol in &mut word {
            *symbol &= 31;
        }
        complete(&mut word, target);
        word
    }

    #[test]
    fn field_arithmetic_is_consistent() {
        let mut powers = EXP[..ORDER].to_vec();
        powers.sort_unstable();
        assert_eq!(powers, (1..=31).collect::<Vec<u8>>(), "α reaches every element but zero");
        for a in 0..32 {
            for b in 1..32 {
                assert_eq!(multiply(divide(a, b), b), a);
                for c in 0..32 {
                    assert_eq!(multiply(a ^ c, b), multiply(a, b) ^ multiply(c, b));
                }
            }
        }
    }

    /// Proves distance 4 for every length. Residues are linear over GF(32), so the first of three wrong
    /// symbols can be scaled to 1.
    #[test]
    fn three_wrong_symbols_never_cancel() {
        for p in 0..MAX_SYMBOLS {
            for q in p + 1..MAX_SYMBOLS {
                for r in q + 1..MAX_SYMBOLS {
                    for (b, c) in (0..32).flat_map(|b| (0..32).map(move |c| (b, c))) {
                        let mut residue = Residue::default();
                        residue.add(p, 1);
                        residue.add(q, b);
                        residue.add(r, c);
                        assert_ne!(residue, Residue::default(), "1, {b}, {c} at {p}, {q}, {r}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_wrong_symbol_is_located_within_the_word() {
        for power in 0..MAX_SYMBOLS {
            for error in 1..32 {
                let mut difference = Residue::default();
                difference.add(power, error);
                for symbols in LENGTHS {
                    let expect = (power < symbols).then(|| (symbols - 1 - power, error));
                    assert_eq!(correction(difference, symbols), expect);
                }
            }
        }
    }

    /// Other differences are not corrected.
    #[test]
    fn other_differences_are_not_corrected() {
        for symbols in LENGTHS {
            let corrected = (0..0x8000).filter(|&bits| correction(Residue(bits), symbols).is_some()).count();
            assert_eq!(corrected, symbols * 31);
        }
    }

    #[test]
    fn no_word_survives_rotation_by_one_or_two() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for (prefix, symbols) in
            ["TO", "T0", "A", "ACME", "ABCDEFGHIJ"].into_iter().flat_map(|p| LENGTHS.map(|n| (p, n)))
        {
            let target = target(prefix, symbols);
            for _ in 0..5_000 {
                // Unlike `KeyFormat::generate`, `random_word` does not discard survivors.
                let mut word = random_word(&mut rng, symbols, target);
                for by in [1, 1, symbols - 3, symbols - 1] {
                    // Left by 1, by 2, by n − 1 and by n − 2.
                    word.rotate_left(by);
                    assert_ne!(Residue::of(&word), target);
                }
            }
        }
    }

    /// Compares the formula with brute force.
    #[test]
    fn formula_for_survivors_agrees_with_brute_force() {
        let survivors = |target: Residue, by: usize| {
            (0..1024_u16)
                .filter(|bits| {
                    // A rotation changes the residue through the first symbols only.
                    let mut word = [0; 16];
                    word[0] = (bits & 31) as u8;
                    word[1] = (bits >> 5 & 31) as u8;
                    complete(&mut word, target);
                    word.rotate_left(by);
                    Residue::of(&word) == target
                })
                .count()
        };
        for bits in (0..0x8000).step_by(211) {
            for by in [1, 2] {
                let target = Residue(bits);
                assert_eq!(survivors(target, by) > 0, some_word_survives(target, 16, by), "{bits} {by}");
            }
        }
        assert!(some_word_survives(Residue(0), 16, 1), "why the target is not zero");
    }

    #[test]
    fn rotation_survivors_are_detected() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let target = target("TO", 16);
        let words = 200_000;
        let survivors =
            (0..words).filter(|_| survives_a_rotation(&random_word(&mut rng, 16, target), target));
        // 11 rotations (3 to 13), each once in 32,768: 67 of 200,000, plus or minus 8.
        let count = survivors.count();
        assert!((27..=107).contains(&count), "{count}");
    }

    /// Prefixes that look alike (`TO`, `T0`) differ in the target alone.
    #[test]
    fn look_alike_prefixes_have_different_targets() {
        let alike = |letter: char| match letter {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let letters = ('0'..='9').chain('A'..='Z');
        let pairs = letters.clone().flat_map(|a| letters.clone().map(move |b| format!("{a}{b}")));
        let prefixes: Vec<String> = letters.clone().map(String::from).chain(pairs).collect();
        for symbols in LENGTHS {
            let mut seen = std::collections::HashMap::new();
            for prefix in &prefixes {
                let read: String = prefix.chars().map(alike).collect();
                let other = seen.insert((read, target(prefix, symbols).0), prefix);
                assert_eq!(other, None, "{prefix}");
            }
        }
    }

    /// Issued keys must stay valid in every later version.
    #[test]
    fn default_target_never_changes() {
        assert_eq!(target("TO", 16), Residue(15276));
    }
}
