//! The requests of one connection.

use std::convert::Infallible;

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::MAX_HEADER_FIELDS;
use crate::{
    identify::{Connected, Identify},
    lingering_close::Tunnel,
};

/// What every request of a connection passes: limits, and the finding of its caller.
pub(super) struct PerConnection<S, I> {
    pub(super) identify: I,
    pub(super) from: Connected,
    pub(super) service: S,
    /// What is told when a request makes the connection a tunnel.
    pub(super) tunnel: Option<Tunnel>,
}

impl<S, B, I> hyper::service::Service<Request<Incoming>> for PerConnection<S, I>
where
    S: tower::Service<Request<tonic::body::Body>, Response = Response<B>, Error = Infallible>
        + Clone,
    B: Default,
    I: Identify,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = futures_util::future::Either<
        std::future::Ready<Result<Response<B>, Infallible>>,
        S::Future,
    >;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        use futures_util::future::Either;
        // HTTP/2 limits the bytes of a header but not the number of its fields.
        if request.headers().len() > MAX_HEADER_FIELDS {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Either::Left(std::future::ready(Ok(empty(status))));
        }
        // Who was admitted by its certificate may have left the configuration since; where there was
        // no handshake nobody was asked for one.
        if self.from.certificate.is_some() && !self.identify.admits(&self.from) {
            let refused = empty(StatusCode::UNAUTHORIZED);
            return Either::Left(std::future::ready(Ok(refused)));
        }
        let mut request = request.map(tonic::body::Body::new);
        self.identify.identify(&self.from, &mut request);
        if let Some(tunnel) = &self.tunnel
            && request.headers().contains_key(header::UPGRADE)
        {
            request.extensions_mut().insert(tunnel.clone());
        }
        // The services here are always ready, so that none needs to be asked.
        Either::Right(self.service.clone().call(request))
    }
}

fn empty<B: Default>(status: StatusCode) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    response
}
