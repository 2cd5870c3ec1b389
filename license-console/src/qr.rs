//! QR codes as the path of an SVG.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as its standard demands.
const MARGIN: usize = 4;

/// A QR code as the path of an SVG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QrPath {
    /// Width and height in modules, with the margin.
    pub(crate) size: usize,
    /// The dark modules.
    pub(crate) path: String,
}

impl QrPath {
    /// Returns the code of a text; `None` if the text is too long.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let width = code.width();
        let colors = code.to_colors();
        let rows = colors.chunks(width).zip(MARGIN..);
        let path = rows.map(|(row, y)| dark_runs(row, y)).collect();
        Some(Self { size: width + 2 * MARGIN, path })
    }
}

/// Returns a bar for each run of dark modules in a row.
fn dark_runs(row: &[Color], y: usize) -> String {
    let mut x = MARGIN;
    let bars = row.chunk_by(|a, b| a == b).map(|run| {
        let (start, width) = (x, run.len());
        x += width;
        let is_dark = run.first() == Some(&Color::Dark);
        if is_dark { format!("M{start} {y}h{width}v1h-{width}z") } else { String::new() }
    });
    bars.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_its_finder_pattern_inside_the_margin() {
        let code = QrPath::new("LICENSE").unwrap();
        assert_eq!(code.size, 21 + 8);
        assert!(code.path.starts_with("M4 4h7v1h-7z"), "{}", code.path);
        assert!(code.path.contains("M4 5h1v1h-1z") && code.path.contains("M10 5h1v1h-1z"), "{}", code.path);
        assert_eq!(QrPath::new(&"x".repeat(3_000)), None, "a code has at most 2953 bytes");
    }
}
