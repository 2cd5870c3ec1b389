//! The encoding of an input file.

/// The byte order mark of UTF-8, which programs on Windows write.
const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Removes the byte order mark from the beginning of a file.
///
/// # Errors
/// Returns an error if the file is UTF-16.
pub(super) fn strip_mark(beginning: &mut Vec<u8>) -> Result<(), &'static str> {
    if beginning.starts_with(b"\xFF\xFE") || beginning.starts_with(b"\xFE\xFF") || beginning.contains(&0) {
        return Err("the file is UTF-16, not UTF-8: save it as UTF-8, in Excel as \"CSV UTF-8\"");
    }
    if beginning.starts_with(UTF_8_MARK) {
        beginning.drain(..UTF_8_MARK.len());
    }
    Ok(())
}
