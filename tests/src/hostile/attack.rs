//! Sends the hostile requests through an edge to the recording app.

use std::net::SocketAddr;

use cli::attack::judge::{self, Asked, Seen, Witness};
pub use cli::attack::judge::{Finding, names};

use super::HOST;
use crate::recorder::App;

/// An edge in front of an app, of which `open` is open to anyone, and `closed` is not for the
/// subject of `session`.
#[derive(Debug)]
pub struct Attack<'a> {
    /// Where the edge takes HTTP/1.1.
    pub edge: SocketAddr,
    /// The app behind it, with nobody else asking.
    pub app: &'a App,
    /// The token of an ordinary user's live session.
    pub session: &'a str,
    /// A target that anyone may ask for, such as `/public/ok`.
    pub open: &'a str,
    /// A target that is forbidden, such as `/admin/users`.
    pub closed: &'a str,
}

impl Attack<'_> {
    /// Sends every target, and gives those that reached the app.
    ///
    /// # Panics
    ///
    /// Panics when the corpus cannot be read.
    pub async fn targets(&self) -> Vec<Finding> {
        self.whole().targets().await.unwrap()
    }

    /// Sends every set of headers to the closed target and to the open one.
    ///
    /// # Panics
    ///
    /// Panics when the corpus cannot be read.
    pub async fn header_sets(&self) -> Vec<Finding> {
        self.whole().header_sets().await.unwrap()
    }

    /// Sends names in several spellings, to a proxy of which nobody knows what it is.
    pub async fn aliases(&self) -> Vec<Finding> {
        self.whole().aliases(&[]).await
    }

    fn whole(&self) -> judge::Attack<'_, App> {
        judge::Attack {
            edge: self.edge.into(),
            witness: self.app,
            host: HOST,
            session: self.session,
            open: self.open,
            closed: self.closed,
        }
    }
}

impl Witness for App {
    fn reached(&self, _asked: Asked<'_>) -> Vec<Seen> {
        let requests = self.take().into_iter();
        requests
            .map(|request| Seen {
                method: request.method,
                target: request.target,
                headers: request.headers,
                trailers: request.trailers,
            })
            .collect()
    }
}
