//! Reads tables: CSV with commas, semicolons or tabs.

use std::io::{self, BufRead, Read};

use csv::ByteRecord;
use license_core::limits;
use license_core::transfer::ImportLineError;

use super::encoding::strip_mark;

/// The number of the first line of a record, and its cells.
type Row<'a> = (u64, Result<Vec<&'a str>, ImportLineError>);

/// The records of a table that are not blank, with the numbers of their first lines.
pub(super) struct Table<R> {
    reader: csv::Reader<LineEnds<io::Chain<io::Cursor<Vec<u8>>, R>>>,
    record: ByteRecord,
}

impl<R: BufRead> Table<R> {
    /// Reads the first line. Without `delimiter`, the most frequent of comma, semicolon and tab separates
    /// cells.
    pub(super) fn open(mut input: R, delimiter: Option<Delimiter>) -> Result<Self, String> {
        let failed = |error: io::Error| error.to_string();
        let mut first = Vec::new();
        input
            .by_ref()
            .take(limits::IMPORT_LINE_BYTES as u64)
            .read_until(b'\n', &mut first)
            .map_err(failed)?;
        strip_mark(&mut first)?;
        let line_end = first.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(first.len());
        let (line, end) = first.split_at(line_end);
        // Excel reads and some programs write such a line.
        let declared = match line {
            [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', one] => Some(Delimiter(*one)),
            _ => None,
        };
        let delimiter = delimiter.or(declared).unwrap_or_else(|| Delimiter::of(line));
        let first = if declared.is_some() { end.to_vec() } else { first };
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter.0)
            .from_reader(LineEnds::new(io::Cursor::new(first).chain(input)));
        Ok(Self { reader, record: ByteRecord::new() })
    }

    /// Returns the next record. Records without text are skipped.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, String> {
        let after_last = self.reader.position().line();
        loop {
            if !self.reader.read_byte_record(&mut self.record).map_err(|error| error.to_string())? {
                return Ok(None);
            }
            if self.record.iter().any(|cell| !cell.trim_ascii().is_empty()) {
                break;
            }
        }
        // The reader is behind the line end of the record. The position of a record is before blank lines.
        let within = self.record.as_slice().split(|byte| *byte == b'\n').count() as u64 - 1;
        let line = self.reader.position().line() - 1 - within;
        // A quote that is open at the end takes the last line end into the record.
        let line = line.max(after_last);
        if self.record.as_slice().len() > limits::IMPORT_LINE_BYTES {
            let why = format!("the row is longer than {} bytes: close its quotes", limits::IMPORT_LINE_BYTES);
            return Ok(Some((line, Err(ImportLineError::new(why)))));
        }
        let cells = self.record.iter().map(std::str::from_utf8).collect::<Result<_, _>>();
        let cells =
            cells.map_err(|_| ImportLineError::new("the row is not UTF-8: save the table as \"CSV UTF-8\""));
        Ok(Some((line, cells)))
    }
}

/// The character between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter(u8);

impl Delimiter {
    /// Parses one ASCII character, or `tab`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Self(b'\t')),
            [one] if *one == b'\t' || one.is_ascii_punctuation() && *one != b'"' => Ok(Self(*one)),
            _ => Err("it must be one character, such as ; or |, or the word tab".to_owned()),
        }
    }

    /// Returns the most frequent delimiter of a header line, outside of quotes.
    fn of(line: &[u8]) -> Self {
        let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
        let mut quoted = false;
        for byte in line {
            quoted ^= *byte == b'"';
            if let Some((_, count)) = counts.iter_mut().find(|(one, _)| one == byte && !quoted) {
                *count += 1;
            }
        }
        // The first of equals is the comma.
        let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
        Self(most.map_or(b',', |(one, _)| one))
    }
}

/// Replaces each line end by `\n`, and adds a missing one at the end, because the reader counts only `\n`.
struct LineEnds<R> {
    input: R,
    last: u8,
}

impl<R> LineEnds<R> {
    fn new(input: R) -> Self {
        Self { input, last: b'\n' }
    }
}

impl<R: BufRead> Read for LineEnds<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 && !output.is_empty() {
            let input = self.input.fill_buf()?;
            if input.is_empty() {
                if self.last == b'\n' || self.last == b'\r' {
                    return Ok(0);
                }
                self.last = b'\n';
                output[0] = b'\n';
                return Ok(1);
            }
            let taken = input.len().min(output.len());
            for byte in &input[..taken] {
                let last = std::mem::replace(&mut self.last, *byte);
                if last == b'\r' && *byte == b'\n' {
                    continue;
                }
                output[written] = if *byte == b'\r' { b'\n' } else { *byte };
                written += 1;
            }
            self.input.consume(taken);
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the records as `line: cells`, or the error of the table.
    fn read(text: impl AsRef<[u8]>) -> Vec<String> {
        read_with(text.as_ref(), None)
    }

    fn read_with(text: &[u8], delimiter: Option<&str>) -> Vec<String> {
        let delimiter = delimiter.map(|text| Delimiter::parse(text).unwrap());
        // Small buffers, so that line ends are split.
        let mut table = match Table::open(io::BufReader::with_capacity(3, text), delimiter) {
            Ok(table) => table,
            Err(error) => return vec![error],
        };
        let mut found = Vec::new();
        while let Some((line, cells)) = table.next().unwrap() {
            found.push(match cells {
                Ok(cells) => format!("{line}: {}", cells.join("|")),
                Err(error) => format!("{line}: {error}"),
            });
        }
        found
    }

    #[test]
    fn line_numbers_are_those_of_an_editor() {
        let expected = ["1: a|b", "2: 1|x\ny", "4: 2|z", "6: 3|w"];
        let text = "a,b\n1,\"x\ny\"\n2,z\n\n3,w\n";
        assert_eq!(read(text), expected);
        assert_eq!(read(text.trim_end()), expected, "without a line end");
        assert_eq!(read(text.replace('\n', "\r\n")), expected, "as Windows writes it");
        assert_eq!(read(text.replace('\n', "\r")), expected, "as old Macs wrote it");
        assert_eq!(read("\n\r\n\na,b\r\n\"\",\"\"\n,\n \t,\n1,2"), ["4: a|b", "8: 1|2"]);
        assert_eq!(read("a,b\n1,\"\n\n\"\n2,\"\"\"\n\"\n3,"), ["1: a|b", "2: 1|\n\n", "5: 2|\"\n", "7: 3|"]);
    }

    #[test]
    fn delimiter_is_recognised() {
        for (text, expected) in [
            ("a,b\n1,2", ["1: a|b", "2: 1|2"]),
            ("a;b\n1;\"2\"", ["1: a|b", "2: 1|2"]),
            ("a\tb\r\n1\t2\r\n", ["1: a|b", "2: 1|2"]),
            ("a;\"b,c,d\"\n1;2,3", ["1: a|b,c,d", "2: 1|2,3"]),
            ("a\n1;2", ["1: a", "2: 1;2"]),
            ("sep=;\na,x;b\n1;2", ["2: a,x|b", "3: 1|2"]),
            ("SEP=|\r\na|b\r\n1|2", ["2: a|b", "3: 1|2"]),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        assert_eq!(read_with(b"a,b|c\n1|2", Some("|")), ["1: a,b|c", "2: 1|2"]);
        assert_eq!(read_with(b"a,b\tc\n1\t2", Some("tab")), ["1: a,b|c", "2: 1|2"]);
        for text in ["", ",,", "\"", "a", "\n", "tabs", "ü"] {
            assert!(Delimiter::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn encoding_is_named() {
        let utf_16 = |text: &str, mark: bool, big: bool| {
            let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
            units
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect::<Vec<_>>()
        };
        assert_eq!(read("\u{feff}a,b\n1,ü"), ["1: a|b", "2: 1|ü"]);
        assert_eq!(read("\u{feff}\"a\",b\n1,2"), ["1: a|b", "2: 1|2"], "a mark before a quote");
        assert_eq!(read("\u{feff}sep=;\na;b"), ["2: a|b"]);
        for (mark, big) in [(true, false), (true, true), (false, false), (false, true)] {
            let found = read(utf_16("a,b\r\n1,2\r\n", mark, big));
            assert_eq!(found, ["the file is UTF-16, not UTF-8: save it as UTF-8, in Excel as \"CSV UTF-8\""]);
        }
        assert_eq!(
            read(b"a,b\n1,M\xFCller\n2,x\n"),
            ["1: a|b", "2: the row is not UTF-8: save the table as \"CSV UTF-8\"", "3: 2|x"]
        );
        assert_eq!(read(""), Vec::<String>::new());
        assert_eq!(read("\u{feff}"), Vec::<String>::new());
    }

    #[test]
    fn open_quote_is_an_error_of_its_row() {
        let text = format!("a,b\n1,2\n3,\"{}\n", "x,y\n".repeat(limits::IMPORT_LINE_BYTES / 4));
        assert_eq!(
            read(text),
            ["1: a|b", "2: 1|2", "3: the row is longer than 262144 bytes: close its quotes"]
        );
    }
}
