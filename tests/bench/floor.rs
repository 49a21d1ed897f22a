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
use prost::Message;
use proto::{
    envoy::service::auth::v3::{
        CheckRequest, CheckResponse, OkHttpResponse, Status as Verdict, check_response,
    },
    v1,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::Service,
    server::{Grpc, NamedService, UnaryService},
};
use tonic_prost::ProstCodec;

/// What a floor says.
trait Answer: Message + Default + Clone + 'static {
    /// What it is asked.
    type Question: Message + Default + 'static;
    /// The service that is asked.
    const SERVICE: &'static str;
}

impl Answer for v1::AuthorizeResponse {
    type Question = v1::AuthorizeRequest;
    const SERVICE: &'static str = "sidegate.v1.AuthorizationService";
}

impl Answer for CheckResponse {
    type Question = CheckRequest;
    const SERVICE: &'static str = "envoy.service.auth.v3.Authorization";
}

/// Answers every call alike.
#[derive(Clone)]
struct Floor<A>(Arc<A>);

impl<A: Answer> NamedService for Floor<A> {
    const NAME: &'static str = A::SERVICE;
}

impl<A: Answer> UnaryService<A::Question> for Floor<A> {
    type Response = A;
    type Future = Ready<Result<Response<A>, Status>>;

    fn call(&mut self, _: Request<A::Question>) -> Self::Future {
        ready(Ok(Response::new(A::clone(&self.0))))
    }
}

impl<A: Answer> Service<http::Request<Body>> for Floor<A> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<A, A::Question>::default();
            Ok(Grpc::new(codec).unary(handler, request).await)
        })
    }
}

/// Serves the answer in this file on a free port, which goes to stdout.
pub(crate) async fn serve(answer: &str) {
    let answer = std::fs::read(Path::new(answer)).unwrap();
    let answer = v1::AuthorizeResponse::decode(Bytes::from(answer)).unwrap();
    say(answer).await;
}

/// Serves Envoy an authorizer that allows all, on a free port, which goes to stdout.
pub(crate) async fn allow_all() {
    let ok = check_response::HttpResponse::OkResponse(OkHttpResponse::default());
    say(CheckResponse {
        status: Some(Verdict { code: 0 }),
        http_response: Some(ok),
        ..CheckResponse::default()
    })
    .await;
}

async fn say(answer: impl Answer) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("grpc {}", listener.local_addr().unwrap());
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(Floor(Arc::new(answer)))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
}
