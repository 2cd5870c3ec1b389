//! Files that the server reloads while it runs: when they change, and at once on SIGHUP.

use license_http::GeoIpDatabase;
use license_server::listen::Tls;
use tokio::task::JoinSet;

use crate::service_manager;
use crate::signals::Hangups;

/// The files that are in use.
#[derive(Clone, Debug)]
pub(crate) struct ReloadableFiles {
    pub(crate) tls: Option<Tls>,
    pub(crate) geoip: Option<GeoIpDatabase>,
}

impl ReloadableFiles {
    /// Reloads the files until the tasks are aborted. After each reload on SIGHUP, systemd shows `status`,
    /// and which files could not be used.
    pub(crate) fn watch(self, mut hangups: Hangups, status: String) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(tls) = self.tls.clone() {
            tasks.spawn(tls.watch());
        }
        if let Some(geoip) = self.geoip.clone() {
            tasks.spawn(geoip.watch());
        }
        tasks.spawn(async move {
            loop {
                hangups.next().await;
                service_manager::reloading();
                let files = self.clone();
                let failed = tokio::task::spawn_blocking(move || files.reload()).await.unwrap_or_default();
                match &*failed {
                    [] => service_manager::ready(&status),
                    failed => {
                        let reasons = failed.join("; ");
                        service_manager::ready(&format!("{status}; not reloaded: {reasons}"));
                    }
                }
            }
        });
        tasks
    }

    /// Reloads the files. Returns why some cannot be used; their previous contents stay in use.
    fn reload(&self) -> Vec<String> {
        let tls = self.tls.as_ref().and_then(|tls| tls.reload().err()).map(|error| error.to_string());
        let geoip = self.geoip.as_ref().and_then(|file| file.reload().err()).map(|error| error.to_string());
        tls.into_iter().chain(geoip).collect()
    }
}
