//! A file of MaxMind's form, read again when it changes.

use std::fmt;
use std::fs::Metadata;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use license_core::figure::{Figure, FigureValue};
use license_core::place::{Country, Place, Region};
use maxminddb::{PathElement, Reader};

/// How often the file is looked at.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Where a file says that a country stands: MaxMind's own, and the flat form of others.
const COUNTRY: [&[PathElement<'_>]; 2] =
    [&[PathElement::Key("country"), PathElement::Key("iso_code")], &[PathElement::Key("country_code")]];
/// Likewise of a region: its code, or else its name.
const REGION: [&[PathElement<'_>]; 2] = [
    &[PathElement::Key("subdivisions"), PathElement::Index(0), PathElement::Key("iso_code")],
    &[
        PathElement::Key("subdivisions"),
        PathElement::Index(0),
        PathElement::Key("names"),
        PathElement::Key("en"),
    ],
];

/// Countries by address, of a file of MaxMind's form such as GeoLite2-Country, GeoLite2-City or DB-IP's; of one that has
/// subdivisions the first of them as well, by its code. Held in memory whole; cloning shares it.
#[derive(Clone)]
pub struct GeoFile(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// Read without a lock, by each validation.
    reader: ArcSwap<Reader<Vec<u8>>>,
    /// What the file was when it was loaded.
    loaded: Option<Stamp>,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl fmt::Debug for GeoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoFile").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// What tells one file from another, also where it is replaced by a rename: its time, its length, and which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(file);
        #[cfg(not(unix))]
        let number = 0;
        Self { modified: file.modified().ok(), length: file.len(), number }
    }
}

/// Why a file can't be used.
#[derive(Debug)]
pub struct GeoFileError(String);

impl fmt::Display for GeoFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GeoFileError {}

impl GeoFile {
    /// Reads the file, and checks all of it.
    ///
    /// # Errors
    /// When it can't be read, or is not of the form.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, GeoFileError> {
        let path = path.into();
        // Looked at first: what is replaced meanwhile is seen as new.
        let loaded = std::fs::metadata(&path).as_ref().map(Stamp::of).ok();
        let reader = ArcSwap::from_pointee(read(&path)?);
        let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Shared { path, reader, loaded, taken, refused })))
    }

    /// Looks at the file all the time, and takes a new one, however it was put in the old one's place. One that can't be used
    /// changes nothing, is logged, and counted in the metrics. Runs until it is dropped.
    pub async fn watch(self) {
        let mut seen = self.0.loaded;
        loop {
            tokio::time::sleep(LOOK_TIME).await;
            let file = self.clone();
            // Large files take a while to read and to check.
            match tokio::task::spawn_blocking(move || file.look(seen)).await {
                Ok(now) => seen = now,
                Err(error) => tracing::error!(%error, "the file of countries can't be looked at"),
            }
        }
    }

    /// Takes the file where it is another than was seen; what is seen now.
    fn look(&self, seen: Option<Stamp>) -> Option<Stamp> {
        let Shared { path, reader, taken, refused, .. } = &*self.0;
        let now = std::fs::metadata(path).as_ref().map(Stamp::of).ok();
        if now == seen {
            return now;
        }
        match read(path) {
            Ok(new) => {
                reader.store(Arc::new(new));
                taken.fetch_add(1, Ordering::Relaxed);
                tracing::info!("the file of countries was read again");
            }
            Err(error) => {
                refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "the new file of countries can't be used; the old one stays");
            }
        }
        now
    }

    /// Where an address is; `None` where the file does not say.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let reader = self.0.reader.load();
        let found = reader.lookup(address.to_canonical()).ok()?;
        let text = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        let country = COUNTRY.iter().find_map(|path| Country::parse(text(path)?))?;
        let region = REGION.iter().find_map(|path| Region::parse(text(path)?));
        Some(Place { country, region })
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let Shared { reader, taken, refused, .. } = &*self.0;
        let counts = [("taken", taken), ("refused", refused)];
        let counts = counts.map(|(name, count)| (name, count.load(Ordering::Relaxed))).to_vec();
        vec![
            Figure::gauge(
                "geography_built_seconds",
                "When the file of countries was built, in seconds since 1970",
                reader.load().metadata().build_epoch,
            ),
            Figure {
                name: "geography_changes",
                help: "New files of countries, by whether they were taken or can't be used",
                value: FigureValue::Counters { label: "outcome", counts },
            },
        ]
    }
}

fn read(path: &std::path::Path) -> Result<Reader<Vec<u8>>, GeoFileError> {
    let refused = |why: &dyn fmt::Display| GeoFileError(format!("{}: {why}", path.display()));
    // Not mapped into memory: a file that is cut short while it is mapped ends the process.
    let bytes = std::fs::read(path).map_err(|error| refused(&error))?;
    let reader = Reader::from_source(bytes).map_err(|error| refused(&error))?;
    reader.verify().map_err(|error| refused(&error))?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geography").join(name)
    }

    fn place(file: &GeoFile, address: &str) -> Option<Place> {
        file.place(address.parse().unwrap())
    }

    fn known(country: &str, region: Option<&str>) -> Option<Place> {
        let region = region.and_then(Region::parse);
        Country::parse(country).map(|country| Place { country, region })
    }

    #[test]
    fn addresses_are_looked_up() {
        let (cities, countries) =
            (GeoFile::load(fixture("city.mmdb")).unwrap(), GeoFile::load(fixture("country.mmdb")).unwrap());
        for (address, country, region) in [
            ("81.2.69.142", Some("GB"), Some("ENG")),
            ("::ffff:81.2.69.142", Some("GB"), Some("ENG")),
            ("216.160.83.56", Some("US"), Some("WA")),
            ("2a02:d180::1", Some("DE"), None),
            // Registered somewhere, and used who knows where.
            ("214.1.1.1", None, None),
            ("10.0.0.1", None, None),
            ("127.0.0.1", None, None),
            ("::1", None, None),
        ] {
            let expected = |region| country.and_then(|country| known(country, region));
            assert_eq!(place(&cities, address), expected(region), "{address}");
            assert_eq!(place(&countries, address), expected(None), "{address} where no regions are");
        }
    }

    #[test]
    fn a_file_that_can_not_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut.mmdb");
        let whole = std::fs::read(fixture("city.mmdb")).unwrap();
        std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
        let empty = folder.path().join("empty.mmdb");
        std::fs::write(&empty, "").unwrap();
        for path in
            [&cut, &empty, &fixture("broken.mmdb"), &folder.path().join("none"), &folder.path().to_owned()]
        {
            let error = GeoFile::load(path).unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_new_file_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("geo.mmdb");
        std::fs::copy(fixture("country.mmdb"), &path).unwrap();
        let file = GeoFile::load(&path).unwrap();
        let counts = |file: &GeoFile| match &file.figures()[1].value {
            FigureValue::Counters { counts, .. } => {
                counts.iter().map(|(_, count)| *count).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let mut seen = file.look(file.0.loaded);
        assert_eq!(counts(&file), [0, 0], "the same file is not read again");
        assert_eq!(place(&file, "81.2.69.142"), known("GB", None));

        // In the old one's place by a rename, of the same time and length.
        let (next, old) = (folder.path().join("next"), std::fs::metadata(&path).unwrap().modified().unwrap());
        let rename = |name: &str| {
            std::fs::copy(fixture(name), &next).unwrap();
            std::fs::File::options().write(true).open(&next).unwrap().set_modified(old).unwrap();
            std::fs::rename(&next, &path).unwrap();
        };
        rename("city.mmdb");
        seen = file.look(seen);
        assert_eq!((counts(&file), place(&file, "81.2.69.142")), (vec![1, 0], known("GB", Some("ENG"))));

        // Broken, cut short in its place, gone: the old one stays, and each is told of once.
        rename("broken.mmdb");
        seen = file.look(seen);
        assert_eq!((counts(&file), file.look(seen) == seen), (vec![1, 1], true));
        std::fs::write(&path, "no such thing").unwrap();
        seen = file.look(seen);
        std::fs::remove_file(&path).unwrap();
        seen = file.look(seen);
        assert_eq!((counts(&file), file.look(seen)), (vec![1, 3], None));
        assert_eq!(place(&file, "81.2.69.142"), known("GB", Some("ENG")), "as before");
        std::fs::copy(fixture("country.mmdb"), &path).unwrap();
        file.look(seen);
        assert_eq!((counts(&file), place(&file, "81.2.69.142")), (vec![2, 3], known("GB", None)));
    }
}
