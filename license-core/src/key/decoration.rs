//! Decoration that mail, chats and shells put around a pasted key: quotes, punctuation, and a label before it.

use super::alphabet::is_invisible;

/// Quotes, brackets, and marks of bold or quoted text.
const AROUND: &str = "\"'`´<>()[]{}*_|\\“”„‟«»‹›‘’‚‛「」『』《》【】";
/// Punctuation after a key.
const AFTER: &str = ".,;:!。、，；：！";
/// Ends of a label, such as `License key:` or `LICENSE_KEY=`.
const LABEL_ENDS: [char; 4] = [':', '=', '：', '＝'];

/// A typed text, divided into the text that can be a key and what stands before it.
pub(super) struct Undecorated<'a> {
    /// Label, quotes and spaces before the key. It may contain another key.
    pub(super) before: &'a str,
    /// The text that can be a key.
    pub(super) key: &'a str,
}

impl<'a> Undecorated<'a> {
    /// Removes the decoration; `None` if there is none.
    pub(super) fn of(typed: &'a str) -> Option<Self> {
        let mut rest = trim_start(typed);
        if let Some((at, end)) = trim_end(rest).rmatch_indices(LABEL_ENDS).next() {
            rest = trim_start(&rest[at + end.len()..]);
        }
        let key = trim_end(rest);
        (key.len() < typed.len()).then(|| Self { before: &typed[..typed.len() - rest.len()], key })
    }
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_around)
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches(|character| is_around(character) || AFTER.contains(character))
}

fn is_around(character: char) -> bool {
    character.is_whitespace() || is_invisible(character) || AROUND.contains(character)
}
