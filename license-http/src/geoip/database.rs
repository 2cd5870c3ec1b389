//! A MaxMind database file that is reloaded when it changes.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use license_core::metrics::{Metric, MetricValue};
use license_core::usage::{Country, Location, Region};
use maxminddb::{PathElement, Reader, path};

/// Interval between checks of the file.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Countries by IP address, from a MaxMind database such as GeoLite2-Country, GeoLite2-City or DB-IP's. If
/// the database has subdivisions, the first one is the region.
///
/// The file is held in memory. Clones share it.
#[derive(Clone)]
pub struct GeoIpDatabase(Arc<LoadedDatabase>);

struct LoadedDatabase {
    path: PathBuf,
    /// Every validation reads it, without a lock.
    reader: ArcSwap<Reader<Vec<u8>>>,
    /// The file that was last read.
    seen: Mutex<Option<FileIdentity>>,
    reloaded: AtomicU64,
    refused: AtomicU64,
}

impl fmt::Debug for GeoIpDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoIpDatabase").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// Time, length and inode, which tell a file from its replacement, even if it was renamed over the old one.
type FileIdentity = (Option<SystemTime>, u64, u64);

fn identity(path: &Path) -> Option<FileIdentity> {
    let file = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&file);
    #[cfg(not(unix))]
    let inode = 0;
    Some((file.modified().ok(), file.len(), inode))
}

/// Error returned by [`GeoIpDatabase::load`]. Its message names the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GeoIpError(String);

impl GeoIpDatabase {
    /// Loads and verifies the file.
    ///
    /// # Errors
    /// Returns [`GeoIpError`] if the file cannot be read or is not a valid database.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, GeoIpError> {
        let path = path.into();
        // Before the read, so that a file that is replaced during the read is reloaded.
        let seen = Mutex::new(identity(&path));
        let reader = ArcSwap::from_pointee(read(&path)?);
        let (reloaded, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(LoadedDatabase { path, reader, seen, reloaded, refused })))
    }

    /// Reloads the file when it changes or is replaced, until the future is dropped.
    ///
    /// A file that cannot be used is logged and counted in the metrics. The old one stays in use.
    pub async fn watch(self) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            if !self.has_changed() {
                continue;
            }
            let database = self.clone();
            // Reading and verifying a large file takes a while. The error of the file is in the log.
            if let Err(error) = tokio::task::spawn_blocking(move || database.reload()).await {
                tracing::error!(%error, "could not check the geo-IP database");
            }
        }
    }

    /// Returns whether the file has changed or was replaced since it was last read.
    fn has_changed(&self) -> bool {
        identity(&self.0.path) != *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reloads the file at once. A file that cannot be used is logged and counted in the metrics, and the old
    /// one stays in use. Blocks while it reads and verifies the file.
    ///
    /// # Errors
    /// Returns [`GeoIpError`] if the file cannot be used.
    pub fn reload(&self) -> Result<(), GeoIpError> {
        let LoadedDatabase { path, reader, seen, reloaded, refused } = &*self.0;
        // Before the read, so that a file that is replaced during the read is reloaded.
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = identity(path);
        let new = read(path).inspect_err(|error| {
            refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "the new geo-IP database cannot be used; the old one stays in use");
        })?;
        reader.store(Arc::new(new));
        reloaded.fetch_add(1, Ordering::Relaxed);
        tracing::info!("geo-IP database reloaded");
        Ok(())
    }

    /// Returns the location of an address, or `None` if the database has none.
    #[must_use]
    pub fn location(&self, address: IpAddr) -> Option<Location> {
        let reader = self.0.reader.load();
        let found = reader.lookup(address.to_canonical()).ok()?;
        let text = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        let country = |path: &[PathElement<'_>]| Country::parse(text(path)?);
        let region = |path: &[PathElement<'_>]| Region::parse(text(path)?);
        // MaxMind's layout, and the flat layout of other vendors. The region has a code, or only a name.
        let country = country(&path!["country", "iso_code"]).or_else(|| country(&path!["country_code"]))?;
        let region = region(&path!["subdivisions", 0, "iso_code"])
            .or_else(|| region(&path!["subdivisions", 0, "names", "en"]));
        Some(Location { country, region })
    }

    pub(super) fn metrics(&self) -> Vec<Metric> {
        let LoadedDatabase { reader, reloaded, refused, .. } = &*self.0;
        let counts = [("taken", reloaded), ("refused", refused)];
        let counts = counts.map(|(name, count)| (name, count.load(Ordering::Relaxed))).to_vec();
        vec![
            Metric::gauge(
                "geography_built_seconds",
                "Build time of the geo-IP database, in seconds since 1970",
                reader.load().metadata().build_epoch,
            ),
            Metric {
                name: "geography_changes",
                help: "Changed geo-IP databases, by whether they were loaded (taken) or could not be used (refused)",
                value: MetricValue::Counters { label: "outcome", counts },
            },
        ]
    }
}

fn read(path: &Path) -> Result<Reader<Vec<u8>>, GeoIpError> {
    let refused = |cause: &dyn fmt::Display| GeoIpError(format!("{}: {cause}", path.display()));
    // Not memory-mapped: truncating a mapped file would kill the process.
    let bytes = std::fs::read(path).map_err(|error| refused(&error))?;
    let reader = Reader::from_source(bytes).map_err(|error| refused(&error))?;
    reader.verify().map_err(|error| refused(&error))?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geoip").join(name)
    }

    fn location(file: &GeoIpDatabase, address: &str) -> Option<Location> {
        file.location(address.parse().unwrap())
    }

    fn known(country: &str, region: Option<&str>) -> Option<Location> {
        let region = region.and_then(Region::parse);
        Country::parse(country).map(|country| Location { country, region })
    }

    #[test]
    fn address_is_located_by_country_and_region() {
        let (cities, countries) = (
            GeoIpDatabase::load(fixture("city.mmdb")).unwrap(),
            GeoIpDatabase::load(fixture("country.mmdb")).unwrap(),
        );
        for (address, country, region) in [
            ("81.2.69.142", Some("GB"), Some("ENG")),
            ("::ffff:81.2.69.142", Some("GB"), Some("ENG")),
            ("216.160.83.56", Some("US"), Some("WA")),
            ("2a02:d180::1", Some("DE"), None),
            // The record has a country of registration only.
            ("214.1.1.1", None, None),
            ("10.0.0.1", None, None),
            ("127.0.0.1", None, None),
            ("::1", None, None),
        ] {
            let expected = |region| country.and_then(|country| known(country, region));
            assert_eq!(location(&cities, address), expected(region), "{address}");
            assert_eq!(location(&countries, address), expected(None), "{address} without regions");
        }
    }

    #[test]
    fn error_names_the_unusable_file() {
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut.mmdb");
        let whole = std::fs::read(fixture("city.mmdb")).unwrap();
        std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
        let empty = folder.path().join("empty.mmdb");
        std::fs::write(&empty, "").unwrap();
        for path in
            [&cut, &empty, &fixture("broken.mmdb"), &folder.path().join("none"), &folder.path().to_owned()]
        {
            let error = GeoIpDatabase::load(path).unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn new_file_is_loaded_and_broken_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("geo.mmdb");
        std::fs::copy(fixture("country.mmdb"), &path).unwrap();
        let file = GeoIpDatabase::load(&path).unwrap();
        let counts = |file: &GeoIpDatabase| match &file.metrics()[1].value {
            MetricValue::Counters { counts, .. } => {
                counts.iter().map(|(_, count)| *count).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let reload_if_changed = || file.has_changed().then(|| file.reload().is_ok());
        assert_eq!(reload_if_changed(), None, "an unchanged file is not reloaded");
        assert_eq!(location(&file, "81.2.69.142"), known("GB", None));

        // Renamed over the old file, with the same time.
        let (next, old) = (folder.path().join("next"), std::fs::metadata(&path).unwrap().modified().unwrap());
        let rename = |name: &str| {
            std::fs::copy(fixture(name), &next).unwrap();
            std::fs::File::options().write(true).open(&next).unwrap().set_modified(old).unwrap();
            std::fs::rename(&next, &path).unwrap();
        };
        rename("city.mmdb");
        assert_eq!(reload_if_changed(), Some(true));
        assert_eq!((counts(&file), location(&file, "81.2.69.142")), (vec![1, 0], known("GB", Some("ENG"))));

        // Broken, overwritten in place, deleted: the old database stays in use, and each change counts once.
        rename("broken.mmdb");
        assert_eq!(
            (reload_if_changed(), reload_if_changed(), counts(&file)),
            (Some(false), None, vec![1, 1])
        );
        std::fs::write(&path, "no such thing").unwrap();
        assert_eq!(reload_if_changed(), Some(false));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            (reload_if_changed(), reload_if_changed(), counts(&file)),
            (Some(false), None, vec![1, 3])
        );
        assert_eq!(location(&file, "81.2.69.142"), known("GB", Some("ENG")), "the old database");
        std::fs::copy(fixture("country.mmdb"), &path).unwrap();
        assert_eq!(reload_if_changed(), Some(true));
        assert_eq!((counts(&file), location(&file, "81.2.69.142")), (vec![2, 3], known("GB", None)));
        assert!(file.reload().is_ok(), "an unchanged file is reloaded on request");
        assert_eq!(counts(&file), [3, 3]);
    }
}
