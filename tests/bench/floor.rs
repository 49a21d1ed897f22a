//! The floor: stock tonic with a typed handler of the same messages that does no work at all.

use std::path::Path;

use bytes::Bytes;
use prost::Message as _;
use proto::v1::{
    self,
    authorization_service_server::{AuthorizationService, AuthorizationServiceServer},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Answers every call alike.
struct Floor(v1::AuthorizeResponse);

#[tonic::async_trait]
impl AuthorizationService for Floor {
    async fn authorize(
        &self,
        _: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_authorize(
        &self,
        _: Request<v1::BatchAuthorizeRequest>,
    ) -> Result<Response<v1::BatchAuthorizeResponse>, Status> {
        Err(Status::unimplemented("the floor decides single calls"))
    }

    async fn get_wire_profile(
        &self,
        _: Request<v1::GetWireProfileRequest>,
    ) -> Result<Response<v1::GetWireProfileResponse>, Status> {
        Err(Status::unimplemented("the floor decides single calls"))
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
        .add_service(AuthorizationServiceServer::new(Floor(answer)))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
}
