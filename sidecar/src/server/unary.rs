//! A call of one small message and one small answer, without the general machinery of gRPC.
//!
//! tonic reads every request as a stream and writes every answer as one. For `Authorize` that costs
//! more than the decision. Here a request that came as one frame is read where it lies, and anything
//! else (a message in several frames, compressed, too large or broken) is left to tonic, byte for
//! byte as it came.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use hyper::body::{Body as _, Frame, SizeHint};
use prost::Message;
use tonic::{Status, body::Body};

/// The flag of compression and the length that precede a message.
const PREFIX_BYTES: usize = 5;

/// The message of a request that came as one uncompressed frame of at most `max` bytes.
///
/// # Errors
///
/// Returns the body as it came when it is anything else.
pub(super) async fn whole<M: Message + Default>(mut body: Body, max: usize) -> Result<M, Body> {
    let frame = match body.frame().await {
        Some(Ok(frame)) => frame,
        Some(Err(status)) => return Err(Body::new(StreamBody::new(stream::iter([Err(status)])))),
        None => return Err(Body::empty()),
    };
    let more = match frame.data_ref().and_then(|data| message(data, max)) {
        None => None,
        Some(message) => match beyond(&mut body).await {
            None => return Ok(message),
            more => more,
        },
    };
    let came = stream::iter([Some(Ok(frame)), more].into_iter().flatten());
    let rest = came.chain(BodyStream::new(body));
    Err(Body::new(StreamBody::new(rest)))
}

/// What follows the message, when it is not the end.
async fn beyond(body: &mut Body) -> Option<Result<Frame<Bytes>, Status>> {
    while !body.is_end_stream() {
        match body.frame().await {
            // Some clients end a stream by a frame without content.
            Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
            more => return more,
        }
    }
    None
}

/// The message of a frame that holds one and nothing else.
fn message<M: Message + Default>(frame: &Bytes, max: usize) -> Option<M> {
    let (&[flag, a, b, c, d], message) = frame.split_first_chunk::<PREFIX_BYTES>()?;
    let length = u32::from_be_bytes([a, b, c, d]);
    let is_whole = usize::try_from(length).is_ok_and(|length| length == message.len());
    if flag != 0 || !is_whole || message.len() > max {
        return None;
    }
    M::decode(frame.slice(PREFIX_BYTES..)).ok()
}

/// The answer of a call.
pub(super) fn answer(answer: Result<impl Message, Status>) -> Response<Body> {
    match answer {
        Ok(message) => {
            let mut response = Response::new(Body::new(Answer::Message(framed(&message))));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(status) => status.into_http(),
    }
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
    frame.put_u8(0);
    // An answer is bounded by what a session may hold, far below 4 GiB.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut frame);
    frame.freeze()
}

/// What is still to be sent of an answer that is no error.
enum Answer {
    Message(Bytes),
    Trailers,
    Nothing,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(match std::mem::replace(&mut *self, Self::Nothing) {
            Self::Message(message) => {
                *self = Self::Trailers;
                Some(Ok(Frame::data(message)))
            }
            Self::Trailers => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                Some(Ok(Frame::trailers(trailers)))
            }
            Self::Nothing => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::AuthorizeRequest;

    const MAX: usize = 64;

    fn asked(tenant: &str) -> AuthorizeRequest {
        AuthorizeRequest {
            tenant: tenant.to_owned(),
            ..AuthorizeRequest::default()
        }
    }

    /// A body of these frames, the last of which ends it, as some clients send it.
    fn body(frames: &[Bytes]) -> Body {
        let frames: Vec<_> = frames
            .iter()
            .map(|frame| Ok::<_, Status>(Frame::data(frame.clone())))
            .collect();
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_message_of_one_frame_is_read() {
        let frame = framed(&asked("acme"));
        for frames in [vec![frame.clone()], vec![frame.clone(), Bytes::new()]] {
            let read: AuthorizeRequest = whole(body(&frames), MAX).await.unwrap();
            assert_eq!(read, asked("acme"));
        }
        let ended = Body::new(http_body_util::Full::new(frame));
        let read: AuthorizeRequest = whole(ended, MAX).await.unwrap();
        assert_eq!(read, asked("acme"));
    }

    #[tokio::test]
    async fn anything_else_comes_back_byte_for_byte() {
        let frame = framed(&asked("acme"));
        let mut compressed = frame.to_vec();
        compressed[0] = 1;
        let mut broken = frame.to_vec();
        broken[5] = 0xff;
        for (what, frames) in [
            ("nothing", vec![]),
            ("part of a prefix", vec![frame.slice(..3)]),
            ("two frames", vec![frame.slice(..7), frame.slice(7..)]),
            (
                "two messages in a frame",
                vec![[&*frame, &*frame].concat().into()],
            ),
            ("two messages", vec![frame.clone(), frame.clone()]),
            ("compressed", vec![compressed.into()]),
            ("no message of this kind", vec![broken.into()]),
            ("too large", vec![framed(&asked(&"a".repeat(MAX)))]),
        ] {
            let came = whole::<AuthorizeRequest>(body(&frames), MAX).await;
            let came = came.expect_err(what).collect().await.unwrap().to_bytes();
            assert_eq!(came, frames.concat(), "{what}");
        }
    }

    #[tokio::test]
    async fn an_error_of_the_body_is_passed_on() {
        let frames = [
            Ok(Frame::data(framed(&asked("acme")).slice(..7))),
            Err(Status::aborted("x")),
        ];
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let came = whole::<AuthorizeRequest>(body, MAX).await.unwrap_err();
        let error = came.collect().await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::Aborted);
    }

    #[tokio::test]
    async fn an_answer_is_a_message_and_its_status() {
        let response = answer(Ok(asked("acme")));
        assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
        let came = response.into_body().collect().await.unwrap();
        assert_eq!(came.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(came.to_bytes(), framed(&asked("acme")));
        let refused = answer(Err::<AuthorizeRequest, _>(Status::not_found("no")));
        assert_eq!(refused.headers()["grpc-status"], "5");
    }
}
