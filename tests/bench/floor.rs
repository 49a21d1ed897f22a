//! The floor: stock tonic with a typed handler of the same messages that does no work at all. What
//! tonic generates for a service is written out here, since ours are generated with another codec.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use prost::Message as _;
use proto::v1;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::Service,
    server::{Grpc, NamedService, UnaryService},
};
use tonic_prost::ProstCodec;

/// Answers every call alike.
#[derive(Clone)]
struct Floor(Arc<v1::AuthorizeResponse>);

impl NamedService for Floor {
    const NAME: &'static str = "sidegate.v1.AuthorizationService";
}

impl UnaryService<v1::AuthorizeRequest> for Floor {
    type Response = v1::AuthorizeResponse;
    type Future = Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _: Request<v1::AuthorizeRequest>) -> Self::Future {
        ready(Ok(Response::new(v1::AuthorizeResponse::clone(&self.0))))
    }
}

impl Service<http::Request<Body>> for Floor {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::default())
                .unary(handler, request)
                .await)
        })
    }
}

/// Serves the answer in this file on a free port, which goes to stdout.
pub(crate) async fn serve(answer: &str) {
    let answer = std::fs::read(Path::new(answer)).unwrap();
    let answer = v1::AuthorizeResponse::decode(Bytes::from(answer)).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("grpc {}", listener.local_addr().unwrap());
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(Floor(Arc::new(answer)))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
}
