//! Asks the web server of a running Falco.

use falconer_manifests::falco_answers::{self, FalcoVersions, Loaded};
use reqwest::StatusCode;

use crate::transfer::{self, Deadline};

use super::FalcoSettings;

/// The longest answer, in bytes.
const ANSWER_CAP: u64 = 8 << 20;

/// Why Falco's web server did not answer a question.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// agent.toml names no web server.
    #[error("no web server is configured")]
    NotConfigured,
    /// The server serves no such page: metrics are off.
    #[error("Falco does not serve {page}")]
    Off {
        /// The page.
        page: &'static str,
    },
    /// The server could not be reached.
    #[error("Falco's web server does not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server answers with something else.
    #[error("the answer is not Falco's")]
    NotFalco,
}

/// What the running Falco says it has loaded.
///
/// # Errors
/// [`NoAnswer`] says why that is not known; a Falco without metrics is a normal state.
pub async fn loaded(settings: &FalcoSettings) -> Result<Loaded, NoAnswer> {
    Web::of(settings)?.loaded().await
}

/// The versions of the running Falco with its plugins, from `/versions`.
///
/// # Errors
/// [`NoAnswer`] says why they are not known.
pub async fn loaded_versions(settings: &FalcoSettings) -> Result<FalcoVersions, NoAnswer> {
    let body = Web::of(settings)?.page("versions").await?;
    falco_answers::versions(&body).ok_or(NoAnswer::NotFalco)
}

/// The web server of a Falco.
pub(super) struct Web<'a> {
    client: reqwest::Client,
    settings: &'a FalcoSettings,
}

impl<'a> Web<'a> {
    pub(super) fn of(settings: &'a FalcoSettings) -> Result<Self, NoAnswer> {
        let base = settings.http.as_ref().ok_or(NoAnswer::NotConfigured)?;
        transfer::install_tls_provider();
        // Never through a proxy: the server is on this host. No connection outlives a request, as the server does not outlive
        // a reload.
        let mut client =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // Reading the system's roots takes longer than all the questions.
            client = client.tls_certs_only([]);
        }
        Ok(Self { client: client.build().map_err(unreachable)?, settings })
    }

    pub(super) async fn loaded(&self) -> Result<Loaded, NoAnswer> {
        falco_answers::loaded(&self.page("metrics").await?).ok_or(NoAnswer::NotFalco)
    }

    /// Whether the health page answers 200; `Ok(false)` when it answers anything else.
    pub(super) async fn is_healthy(&self) -> Result<bool, NoAnswer> {
        match self.page("healthz").await {
            Ok(_) => Ok(true),
            Err(NoAnswer::Unreachable(error)) => Err(NoAnswer::Unreachable(error)),
            Err(_) => Ok(false),
        }
    }

    async fn page(&self, page: &'static str) -> Result<String, NoAnswer> {
        let base = self.settings.http.as_ref().ok_or(NoAnswer::NotConfigured)?;
        let mut url = base.clone();
        url.set_path(&format!("{}/{page}", base.path().trim_end_matches('/')));
        let deadline = Deadline::after(self.settings.deadlines.http);
        let sent = deadline.bound(self.client.get(url).send()).await;
        let response = sent.map_err(|late| NoAnswer::Unreachable(late.into()))?.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(NoAnswer::Off { page }),
            _ => return Err(NoAnswer::NotFalco),
        }
        let body = transfer::body(response, ANSWER_CAP, deadline).await;
        let body = body.map_err(|error| NoAnswer::Unreachable(error.into()))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// The address may hold a password.
fn unreachable(error: reqwest::Error) -> NoAnswer {
    NoAnswer::Unreachable(error.without_url().into())
}
