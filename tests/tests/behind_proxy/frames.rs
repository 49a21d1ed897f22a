//! HTTP/2 as frames: what is sent is what stands here, and no library puts it right on the way
//! (RFC 9113). Of answers no more is read than how they end.

use std::net::SocketAddr;

use harness::raw;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GO_AWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// How large a table we keep for the other side: none, so that its fields stand as they are.
const NO_TABLE: [u8; 6] = [0, 1, 0, 0, 0, 0];

/// Name and value of a field, as any bytes.
pub(crate) type Field<'a> = (&'a [u8], &'a [u8]);

/// A frame (section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Fields as literals without indexing and with new names (RFC 7541 section 6.2.2).
pub(crate) fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.extend(length(text.len()));
            block.extend_from_slice(text);
        }
    }
    block
}

/// The length of a text that is not compressed (RFC 7541 section 5.1).
fn length(length: usize) -> Vec<u8> {
    const MOST: usize = 0x7f;
    if length < MOST {
        return vec![u8::try_from(length).unwrap()];
    }
    let mut bytes = vec![0x7f];
    let mut rest = length - MOST;
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
        rest /= 0x80;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered whole, with this status.
    Answered(u16),
    /// Its stream was reset, with this code, whatever was answered before.
    Reset(u32),
    /// The connection is given up, with this code.
    GoneAway(u32),
    /// The connection ended without a word.
    Closed,
}

impl End {
    /// Whether it says that nothing was done. A stream may be reset for no error but its rest.
    pub(crate) fn is_refusal(self) -> bool {
        match self {
            Self::Answered(status) => (400..500).contains(&status),
            Self::Reset(code) | Self::GoneAway(code) => code != 0,
            Self::Closed => false,
        }
    }
}

/// A frame that came.
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    payload: Vec<u8>,
}

/// A connection that knows no more of HTTP/2 than its frames.
pub(crate) struct Frames {
    socket: TcpStream,
    /// Where the next request may stand.
    next: u32,
}

impl Frames {
    /// Connects, and says that it keeps no table.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let settings = frame(SETTINGS, 0, 0, &NO_TABLE);
        socket
            .write_all(&[PREFACE, &settings].concat())
            .await
            .unwrap();
        Self { socket, next: 1 }
    }

    /// The stream of the next request.
    pub(crate) fn stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Sends frames, as far as the other side takes them.
    pub(crate) async fn send(&mut self, frames: &[Vec<u8>]) {
        let _ = self.socket.write_all(&frames.concat()).await;
    }

    /// Waits for the end of a stream.
    pub(crate) async fn end(&mut self, stream: u32) -> End {
        let end = tokio::time::timeout(raw::DEADLINE, self.end_whenever(stream));
        end.await.expect("an end in time")
    }

    async fn end_whenever(&mut self, stream: u32) -> End {
        let mut status = None;
        while let Some(came) = take_frame(&mut self.socket).await {
            match came.kind {
                SETTINGS if came.flags & ACK == 0 => {
                    let acknowledged = frame(SETTINGS, ACK, 0, b"");
                    let _ = self.socket.write_all(&acknowledged).await;
                }
                GO_AWAY => return End::GoneAway(number(&came.payload[4..8])),
                RESET if came.stream == stream => return End::Reset(number(&came.payload[..4])),
                HEADERS if came.stream == stream && status.is_none() => {
                    status = Some(status_of(&came.payload));
                }
                _ => {}
            }
            let is_last = came.stream == stream && came.flags & END_STREAM != 0;
            if is_last && matches!(came.kind, HEADERS | DATA) {
                return End::Answered(status.expect("a head goes before its end"));
            }
        }
        End::Closed
    }
}

/// The next frame; `None` at the end.
pub(crate) async fn take_frame(socket: &mut TcpStream) -> Option<Came> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; number(&[0, a, b, c]) as usize];
    socket.read_exact(&mut payload).await.ok()?;
    Some(Came {
        kind,
        flags,
        stream: number(&stream) & 0x7fff_ffff,
        payload,
    })
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// The status of an answer, which is its first field: by the static table (RFC 7541 appendix A), or
/// as a literal under a name of that table.
fn status_of(block: &[u8]) -> u16 {
    // A change of the table's size stands before the first field.
    let skipped = block.iter().take_while(|byte| **byte & 0xe0 == 0x20);
    let block = &block[skipped.count()..];
    match block[0] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        0x08 | 0x48 => {
            let (length, text) = (usize::from(block[1] & 0x7f), &block[2..]);
            let digits = match block[1] & 0x80 {
                0 => String::from_utf8(text[..length].to_vec()).unwrap(),
                _ => compressed(&text[..length]),
            };
            digits.parse().unwrap()
        }
        other => panic!("{other:#x} begins no status"),
    }
}

/// Three digits by the Huffman code (RFC 7541 appendix B): `0` to `2` have five bits, the others six.
fn compressed(bytes: &[u8]) -> String {
    // Filled up with ones, as its last byte is.
    let filled = bytes.iter().chain([&0xff]);
    let bits = filled.fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut left = 8 * (bytes.len() + 1);
    let mut digits = String::new();
    while digits.len() < 3 {
        let (short, long) = (bits >> (left - 5) & 0x1f, bits >> (left - 6) & 0x3f);
        let (digit, taken) = match short {
            0..=2 => (short, 5),
            _ => (long - 0x19 + 3, 6),
        };
        digits.push(char::from(b'0' + u8::try_from(digit).unwrap()));
        left -= taken;
    }
    digits
}

#[test]
fn what_this_client_writes_and_reads_is_http2() {
    // Examples of RFC 7541, appendix C.2.2 without an indexed name, C.1.2 and C.6.1.
    assert_eq!(block(&[(b":path", b"/x")]), b"\0\x05:path\x02/x");
    assert_eq!(length(127 + 1337 - 31), [0x7f, 0x9a, 0x0a]);
    assert_eq!(compressed(&[0x64, 0x02]), "302");
    assert_eq!(compressed(&[0x64, 0x0e, 0xff]), "307");
    assert_eq!(status_of(&[0x20, 0x48, 0x82, 0x64, 0x02]), 302);
    assert_eq!(status_of(&[0x8c]), 400);
}
