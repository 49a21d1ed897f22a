//! What remains of a request that changed its protocol: bytes, both ways.

use auth_core::{decision::Answer, decision_point::DecisionPoint};
use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, Version, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;

use super::{headers, response::deliver};
use crate::{
    edge::{
        http::{problem, write_back::Written},
        lasting::Lasted,
    },
    lingering_close::Tunnel,
};

/// Answers the client as the app did, and joins the two connections.
pub(super) fn open<D: DecisionPoint>(
    mut response: Response<Incoming>,
    client: Option<(OnUpgrade, Option<Tunnel>)>,
    answer: &Answer,
    written: &Written,
    lasted: Option<Lasted<D>>,
) -> Response<Body> {
    let protocol = headers::upgrade(Version::HTTP_11, response.headers());
    let (Some((client, tunnel)), Some(protocol)) = (client, protocol) else {
        tracing::warn!("the app changed to a protocol that was not asked for");
        return problem::gateway(StatusCode::BAD_GATEWAY, "the app could not be asked", false);
    };
    let app = hyper::upgrade::on(&mut response);
    let mut sent = headers::backward(response.headers());
    sent.insert(header::UPGRADE, protocol);
    sent.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if !deliver(answer, written, &mut sent) {
        tracing::error!("an update cannot be delivered");
        return problem::failed();
    }
    if let Some(tunnel) = tunnel {
        tunnel.open();
    }
    tokio::spawn(async move {
        let joined = tokio::try_join!(client, app);
        let Ok((client, app)) = joined else {
            tracing::debug!("a connection ended before its protocol changed");
            return;
        };
        let (mut client, mut app) = (TokioIo::new(client), TokioIo::new(app));
        let carried = tokio::io::copy_bidirectional(&mut client, &mut app);
        let ended = async {
            match lasted {
                Some(lasted) => drop(lasted.watch().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            carried = carried => {
                if let Err(error) = carried {
                    tracing::debug!(%error, "a tunnel ended early");
                }
            }
            // Both connections close: no message passes once the session has ended.
            () = ended => {}
        }
    });
    let mut switching = Response::new(Body::empty());
    *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switching.headers_mut() = sent;
    switching
}
