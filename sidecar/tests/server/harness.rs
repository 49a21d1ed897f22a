//! A sidecar in a folder of its own, and clients for it.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use auth_core::policy::settings::Address;
use proto::{
    admin::v1::admin_service_client::AdminServiceClient,
    v1::{
        self, authorization_service_client::AuthorizationServiceClient,
        session_store_service_client::SessionStoreServiceClient,
    },
};
use sidecar::{Sidecar, SidecarBuilder, StartError, listener, server::Addresses};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

/// The token of the caller `shop`.
pub(crate) const SHOP_TOKEN: &str = "shop-0123456789abcdef0123456789abcdef";
/// The token of the caller `clerk`, which may do nothing.
pub(crate) const CLERK_TOKEN: &str = "clerk-0123456789abcdef0123456789abcdef";

/// A sidecar that runs.
pub(crate) struct Running {
    pub(crate) folder: TempDir,
    pub(crate) addresses: Addresses,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), StartError>>,
}

/// The policy of the tests. The user of this process is the caller `desk` on a unix socket.
pub(crate) fn policy() -> String {
    let uid = listener::own_uid();
    format!(
        "listen:\n\
         \x20 grpc: [ unix:./s.sock, 127.0.0.1:0 ]\n\
         \x20 http: 127.0.0.1:0\n\
         \x20 admin: unix:./admin.sock\n\
         \x20 telemetry: 127.0.0.1:0\n\
         store: {{ memory: {{}} }}\n\
         callers:\n\
         \x20 shop: {{ token_file: shop.token, may: [authorize, session.self] }}\n\
         \x20 clerk: {{ token_file: clerk.token, may: [] }}\n\
         \x20 desk: {{ uid: {uid}, may: [authorize, session.manage], sign_in: [local] }}\n\
         include: [ apps/*.yaml ]\n"
    )
}

/// The app of the tests, with this operation.
pub(crate) fn app(operation: &str) -> String {
    format!("operations:\n  {operation}: {{ session: none, http: GET /hello }}\n")
}

/// Writes the files that the policy speaks of.
pub(crate) fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, token) in [("shop", SHOP_TOKEN), ("clerk", CLERK_TOKEN)] {
        secret(&folder.path().join(format!("{name}.token")), token);
    }
    std::fs::create_dir(folder.path().join("apps")).unwrap();
    std::fs::write(folder.path().join("apps/shop.yaml"), app("hello")).unwrap();
    std::fs::write(folder.path().join("sidegate.yaml"), policy()).unwrap();
    folder
}

/// Writes a token file as its owner alone may read it.
pub(crate) fn secret(path: &Path, token: &str) {
    std::fs::write(path, format!("{token}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A sidecar on the files of a folder.
pub(crate) fn builder(folder: &TempDir) -> SidecarBuilder {
    Sidecar::builder(folder.path().join("sidegate.yaml"))
}

/// Starts a sidecar on the files of the tests.
pub(crate) async fn start() -> Running {
    let folder = files();
    start_with(builder(&folder), folder).await
}

pub(crate) async fn start_with(builder: SidecarBuilder, folder: TempDir) -> Running {
    let bound = builder.bind().await.unwrap();
    let addresses = bound.addresses.clone();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(bound.run(async move { stopped.cancelled().await }));
    Running {
        folder,
        addresses,
        stop,
        task,
    }
}

impl Running {
    pub(crate) fn tcp(&self) -> String {
        self.addresses.grpc[1].to_string()
    }

    pub(crate) fn unix(&self) -> PathBuf {
        path(&self.addresses.grpc[0])
    }

    pub(crate) fn admin(&self) -> PathBuf {
        path(self.addresses.admin.as_ref().unwrap())
    }

    pub(crate) fn telemetry(&self) -> String {
        self.addresses.telemetry.as_ref().unwrap().to_string()
    }

    pub(crate) async fn admin_client(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(unix_channel(&self.admin()).await)
    }

    /// Asks for a decision on `GET path` as `shop`, over TCP.
    pub(crate) async fn decide(&self, path: &str) -> v1::AuthorizeResponse {
        let channel = tcp_channel(&self.tcp()).await;
        let mut client = AuthorizationServiceClient::new(channel);
        let request = with_token(authorize(path), Some(SHOP_TOKEN));
        client.authorize(request).await.unwrap().into_inner()
    }

    /// The operation that `GET /hello` reaches.
    pub(crate) async fn operation(&self) -> String {
        self.decide("/hello").await.operation
    }

    pub(crate) fn write_app(&self, text: &str) {
        let path = self.folder.path().join("apps/shop.yaml");
        std::fs::write(path, text).unwrap();
    }
}

fn path(address: &Address) -> PathBuf {
    match address {
        Address::Unix(path) => path.clone(),
        Address::Tcp(tcp) => panic!("{tcp} is no unix socket"),
    }
}

pub(crate) async fn unix_channel(path: &Path) -> Channel {
    let uri = format!("unix://{}", path.display());
    Endpoint::from_shared(uri).unwrap().connect().await.unwrap()
}

pub(crate) async fn tcp_channel(address: &str) -> Channel {
    let uri = format!("http://{address}");
    Endpoint::from_shared(uri).unwrap().connect().await.unwrap()
}

pub(crate) fn store_client(channel: Channel) -> SessionStoreServiceClient<Channel> {
    SessionStoreServiceClient::new(channel)
}

/// `GET path` over HTTP, with nothing else.
pub(crate) fn authorize(path: &str) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        wire: Some(v1::WireContext {
            kind: v1::WireKind::Http.into(),
            authority: "localhost".into(),
            method: "GET".into(),
            target: path.into(),
            attributes: vec![v1::Attribute {
                name: "sec-fetch-site".into(),
                value: "same-origin".into(),
            }],
            ..v1::WireContext::default()
        }),
        data_complete: true,
        session_view: v1::SessionView::None.into(),
        ..v1::AuthorizeRequest::default()
    }
}

pub(crate) fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// The status and body of an HTTP/1 answer.
pub(crate) async fn get(address: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a header may close before all of it was read.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// Waits until `state` holds, at most 10 s.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut state: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while !state().await {
        assert!(tokio::time::Instant::now() < end, "not reached: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
