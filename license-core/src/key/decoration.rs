//! Decoration that mail, chats and shells put around a pasted key: quotes, punctuation, signs, and a label
//! before it.

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
        let mut rest = typed.trim_start_matches(is_decoration);
        if let Some((at, end)) = rest.trim_end_matches(is_decoration).rmatch_indices(LABEL_ENDS).next() {
            rest = rest[at + end.len()..].trim_start_matches(is_decoration);
        }
        let key = rest.trim_end_matches(is_decoration);
        (key.len() < typed.len()).then(|| Self { before: &typed[..typed.len() - rest.len()], key })
    }
}

/// Returns whether the character at an end of the text is no part of a key. A question mark may stand for a
/// letter that a person could not read, and control characters are no decoration.
fn is_decoration(character: char) -> bool {
    character.is_whitespace() || !(character.is_alphanumeric() || character.is_control() || character == '?')
}
