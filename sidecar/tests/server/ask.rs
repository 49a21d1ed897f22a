//! Any method, asked by its name with a body of JSON: over gRPC and over HTTP.

use bytes::{Buf as _, BufMut as _, Bytes};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use sidecar::edge::json::transcode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_types::StatusExt as _;

/// Why a request was refused, the same way whichever edge said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The code, as `invalid_argument`.
    pub(crate) code: String,
    /// The reason of the `ErrorInfo`; empty when there is none.
    pub(crate) reason: String,
    /// The words for people.
    pub(crate) message: String,
    /// The field at fault; empty when none is.
    pub(crate) field: String,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        Self {
            code: code_name(status.code()),
            reason: info.map_or_else(String::new, |info| info.reason.clone()),
            message: status.message().to_owned(),
            field: info
                .and_then(|info| info.metadata.get("field").cloned())
                .unwrap_or_default(),
        }
    }
}

/// `invalid_argument` for `InvalidArgument`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The methods of our services, from the contract itself.
pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = pool.services();
    let ours = services.filter(|service| service.full_name().starts_with("sidegate."));
    ours.flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// The method of this name, as `Authorize`.
pub(crate) fn method(name: &str) -> MethodDescriptor {
    let mut methods = methods().into_iter();
    let found = methods.find(|method| method.name() == name);
    found.unwrap_or_else(|| panic!("the contract has no method `{name}`"))
}

/// The path of a method, as `/sidegate.v1.AuthorizationService/Authorize`.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    let service = method.parent_service().full_name();
    format!("/{service}/{}", method.name())
}

/// Whether a method is asked as JSON over HTTP too.
pub(crate) fn is_json_too(method: &MethodDescriptor) -> bool {
    let service = method.parent_service();
    ["AuthorizationService", "SessionService"].contains(&service.name())
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Asks with these bytes as the message. Of a stream the first message is the answer.
pub(crate) async fn ask_bytes(
    channel: &Channel,
    token: Option<&str>,
    method: &MethodDescriptor,
    message: Vec<u8>,
) -> Result<Value, Refused> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(Bytes::from(message));
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let path = path(method).parse().unwrap();
    let answer = if method.is_server_streaming() {
        let stream = client.server_streaming(request, path, Raw).await?;
        stream.into_inner().message().await?.unwrap_or_default()
    } else {
        client.unary(request, path, Raw).await?.into_inner()
    };
    let answer = DynamicMessage::decode(method.output(), answer).unwrap();
    let json = transcode::to_json(&method.output(), &prost::Message::encode_to_vec(&answer));
    Ok(serde_json::from_slice(&json.unwrap()).unwrap())
}

/// Asks over gRPC. The body is one that has a message.
pub(crate) async fn ask(
    channel: &Channel,
    token: Option<&str>,
    name: &str,
    body: &Value,
) -> Result<Value, Refused> {
    let method = method(name);
    let message = transcode::from_json(&method.input(), body.to_string().as_bytes()).unwrap();
    ask_bytes(channel, token, &method, message).await
}

/// An answer over HTTP/1, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) status: u16,
    /// The lines of the head after the first, in small letters.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Plain {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The answer, or why there is none.
    pub(crate) fn result(&self) -> Result<Value, Refused> {
        let json = self.json();
        if self.status == 200 {
            return Ok(json);
        }
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let details = json["details"].as_array().cloned().unwrap_or_default();
        let info = details
            .iter()
            .find(|detail| detail["type"] == "google.rpc.ErrorInfo")
            .map_or(Value::Null, |detail| detail["debug"].clone());
        Err(Refused {
            code: text("/code").to_owned(),
            reason: info["reason"].as_str().unwrap_or("").to_owned(),
            message: text("/message").to_owned(),
            field: info["metadata"]["field"].as_str().unwrap_or("").to_owned(),
        })
    }
}

/// Sends a head and a body as they are; the length of the body is added to the head.
pub(crate) async fn exchange(address: &str, head: &str, body: &[u8]) -> Plain {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let mut answer = Vec::new();
    // A server that refuses a body may close before all of it was read.
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer to {head:?}"));
    let text = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    Plain {
        status: status.unwrap().parse().unwrap(),
        headers: lines.map(str::to_lowercase).collect(),
        body: answer[end + 4..].to_vec(),
    }
}

/// Posts a body to a method as JSON, with the token of a caller.
pub(crate) async fn post(address: &str, token: &str, name: &str, body: &[u8]) -> Plain {
    let path = path(&method(name));
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n"
    );
    exchange(address, &head, body).await
}
