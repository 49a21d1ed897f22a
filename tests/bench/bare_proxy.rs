//! The floor of a reverse proxy: the same libraries, the same limits, and nothing decided or changed.

use std::time::Duration;

use http::{Request, uri};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::net::TcpListener;

/// Serves the app at this address on a free port, which goes to stdout.
pub(crate) async fn serve(app: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("grpc {}", listener.local_addr().unwrap());
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .build(connector);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10));
    let app: uri::Authority = app.parse().unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (builder, client, app) = (builder.clone(), client.clone(), app.clone());
        tokio::spawn(async move {
            let pass = service_fn(|request| client.request(to(&app, request)));
            let _ = builder.serve_connection(TokioIo::new(stream), pass).await;
        });
    }
}

/// The same request, to the app.
fn to(app: &uri::Authority, mut request: Request<Incoming>) -> Request<Incoming> {
    let path = request.uri().path_and_query().cloned();
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    parts.authority = Some(app.clone());
    parts.path_and_query = path;
    *request.uri_mut() = parts.try_into().unwrap();
    request
}
