//! License files: a lease as text that people send by mail and carry on sticks.

use std::fmt;
use std::fmt::Write as _;

use crate::error::Error;
use crate::limits;

const LABEL: &str = "LICENSE FILE";
const COLUMNS: usize = 64;

/// A lease and the key tokens that it needs, not verified.
///
/// As text, it is `-----BEGIN LICENSE FILE-----`, the tokens with `~` between them in lines of 64 characters, and
/// `-----END LICENSE FILE-----`. The lease is the first token.
///
/// ```
/// use license_verify::LicenseFile;
/// let file = LicenseFile::parse(
///     "Your license:\r\n
///     -----BEGIN LICENSE FILE-----\r\n
///       eyJh.eyJi.c2ln\r\n
///     -----END LICENSE FILE-----\r\n",
/// )?;
/// assert_eq!(file.lease, "eyJh.eyJi.c2ln");
/// # Ok::<(), license_verify::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseFile {
    /// The token of the lease.
    pub lease: String,
    /// Key tokens, in the order in which software can learn from them.
    pub key_tokens: Vec<String>,
}

impl LicenseFile {
    /// Parses the license file in a text. White space inside it, marks of quoted mail before its lines, and all text
    /// around it are ignored.
    ///
    /// # Errors
    /// Returns [`Error::FileMalformed`] if there is no license file, there are several, or a character does not belong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > limits::LICENSE_FILE_BYTES {
            return Err(Error::FileMalformed("it is longer than 1 MiB"));
        }
        // Lines are joined first, so that a marker that a mail program has wrapped is found.
        let text: String = text.lines().map(without_quotes).collect::<Vec<_>>().join(" ");
        let text = text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let (begin, end) = (format!("BEGIN {LABEL}"), format!("END {LABEL}"));
        let (_, rest) =
            text.split_once(&begin).ok_or(Error::FileMalformed("the line BEGIN LICENSE FILE is missing"))?;
        let (body, rest) =
            rest.split_once(&end).ok_or(Error::FileMalformed("the line END LICENSE FILE is missing"))?;
        if body.contains(&begin) || rest.contains(&begin) {
            return Err(Error::FileMalformed("there are several: keep one"));
        }

        let body: String = body.split(' ').collect();
        // A token neither begins nor ends with a dash, so all dashes at the ends belong to the markers.
        let body = body.trim_matches(is_dash);
        let is_token = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let mut tokens = body.split('~').map(str::to_owned);
        let lease = tokens.next().unwrap_or_default();
        let key_tokens: Vec<String> = tokens.collect();
        if !is_token(&lease) || !key_tokens.iter().all(|token| is_token(token)) {
            return Err(Error::FileMalformed("a part is missing, or a character does not belong"));
        }
        if key_tokens.len() > limits::FILE_KEY_TOKENS {
            return Err(Error::FileMalformed("there are more than four key tokens"));
        }
        Ok(Self { lease, key_tokens })
    }
}

impl fmt::Display for LicenseFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "-----BEGIN {LABEL}-----")?;
        let mut column = 0;
        let tokens = std::iter::once(&self.lease).chain(&self.key_tokens);
        for (index, token) in tokens.enumerate() {
            for character in (index > 0).then_some('~').into_iter().chain(token.chars()) {
                if column == COLUMNS {
                    writeln!(formatter)?;
                    column = 0;
                }
                formatter.write_char(character)?;
                column += 1;
            }
        }
        write!(formatter, "\n-----END {LABEL}-----\n")
    }
}

/// Returns a line without the marks of quoted mail.
fn without_quotes(line: &str) -> &str {
    line.trim_start_matches(|character| character == '>' || is_space(character))
}

fn is_space(character: char) -> bool {
    // With invisible characters that mail programs and editors insert.
    character.is_whitespace() || matches!(character, '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

fn is_dash(character: char) -> bool {
    matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::LicenseFile;
    use crate::error::Error;
    use crate::limits;

    fn file(keys: usize) -> LicenseFile {
        LicenseFile {
            lease: "eyJh-_.eyJi.c2lnQ".repeat(9),
            key_tokens: (0..keys).map(|index| format!("eyJr{index}.eyJi.c2ln")).collect(),
        }
    }

    #[test]
    fn file_is_read_back_from_what_mail_makes_of_it() {
        for keys in 0..=limits::FILE_KEY_TOKENS {
            let file = file(keys);
            let text = file.to_string();
            assert!(text.lines().all(|line| line.len() <= 64));
            let damaged = [
                text.clone(),
                text.replace('\n', "\r\n"),
                text.replace('\n', "\n> > "),
                text.replace('\n', "\n\n \t"),
                text.replace('\n', " "),
                text.replace("-----", "—–"),
                text.replace("-----", ""),
                text.replace("BEGIN LICENSE", "BEGIN\n> LICENSE"),
                format!("\u{feff}Hello,\n- your license - is:\n{text}\n-- \nBye"),
                text.replace('\n', "\u{a0}\n\u{200b}"),
            ];
            for text in damaged {
                assert_eq!(LicenseFile::parse(&text).as_ref(), Ok(&file), "{text}");
            }
        }
    }

    #[test]
    fn other_texts_are_malformed() {
        let text = file(1).to_string();
        let wrong = [
            String::new(),
            text.replace("END", "FIN"),
            text.replace("BEGIN", "END"),
            text.repeat(2),
            text.replace('~', "~~"),
            text.replace('~', "="),
            text.replace("eyJr0", "eyJr\u{e9}"),
            "-----BEGIN LICENSE FILE----------END LICENSE FILE-----".to_owned(),
            file(limits::FILE_KEY_TOKENS + 1).to_string(),
            format!("{text}{}", " ".repeat(limits::LICENSE_FILE_BYTES)),
        ];
        for text in wrong {
            assert!(matches!(LicenseFile::parse(&text), Err(Error::FileMalformed(_))), "{text:.200}");
        }
    }
}
