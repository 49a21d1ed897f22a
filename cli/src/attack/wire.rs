//! HTTP/1.1 as bytes on a wire: heads as lines, bodies by their framing, nothing normalised.

use std::time::Duration;

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _},
    time::timeout,
};

/// A head longer than this is given up on.
const HEAD_MAX: usize = 4 * 1024 * 1024;

/// Header lines in the order and case in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Takes lines apart at the first colon. A line without one, and a folded line, has an empty
    /// name and is kept whole as value, so that whoever looks sees it.
    #[must_use]
    pub fn parse(lines: &[Vec<u8>]) -> Self {
        let parsed = lines.iter().map(|line| {
            let line = latin1(line);
            match line.split_once(':') {
                Some((name, value)) if !line.starts_with([' ', '\t']) => {
                    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
                }
                _ => (String::new(), line),
            }
        });
        Self(parsed.collect())
    }

    /// The lines: name as written, value without the space around it.
    #[must_use]
    pub fn lines(&self) -> &[(String, String)] {
        &self.0
    }

    /// The values of a header, whatever its case.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a header, whatever its case.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The lines whose names an application server may read as the given one: another case, `_`
    /// or `.` for `-`. CGI turns each of them into the same variable.
    #[must_use]
    pub fn aliases(&self, name: &str) -> Vec<&(String, String)> {
        let folded = fold(name);
        self.0.iter().filter(|(n, _)| fold(n) == folded).collect()
    }
}

fn fold(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Every byte as the character of the same number, so that no byte is lost.
#[must_use]
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Why a head could not be read.
#[derive(Debug)]
pub enum HeadError {
    /// The stream ended within it. Holds what had come.
    Closed(Vec<u8>),
    /// It does not end.
    TooLong,
}

/// Reads lines until an empty one, without their ends; `None` at the end of the stream.
///
/// # Errors
///
/// Returns [`HeadError`] when the head does not end.
pub async fn read_head(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<Vec<Vec<u8>>>, HeadError> {
    let (mut lines, mut size) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line).await;
        if !line.ends_with(b"\n") {
            if lines.is_empty() && line.is_empty() && matches!(read, Ok(0)) {
                return Ok(None);
            }
            let mut came: Vec<u8> = lines.join(b"\n".as_slice());
            came.extend_from_slice(&line);
            return Err(HeadError::Closed(came));
        }
        size += line.len();
        if size > HEAD_MAX {
            return Err(HeadError::TooLong);
        }
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
        if line.is_empty() && !lines.is_empty() {
            return Ok(Some(lines));
        }
        // Empty lines before a first line are passed over (RFC 9112 section 2.2).
        if !line.is_empty() {
            lines.push(line);
        }
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With a chunk of no length.
    Chunked,
    /// With the connection.
    ToEnd,
}

impl Framing {
    /// That of the answer to a request.
    #[must_use]
    pub fn of_answer(status: u16, headers: &Headers, to_head_request: bool) -> Self {
        if to_head_request || status < 200 || status == 204 || status == 304 {
            return Self::Length(0);
        }
        Self::named(headers).unwrap_or(Self::ToEnd)
    }

    /// That of a request.
    #[must_use]
    pub fn of_request(headers: &Headers) -> Self {
        Self::named(headers).unwrap_or(Self::Length(0))
    }

    fn named(headers: &Headers) -> Option<Self> {
        let coding = headers.first("transfer-encoding").unwrap_or_default();
        if coding.to_ascii_lowercase().contains("chunked") {
            return Some(Self::Chunked);
        }
        let length = headers.first("content-length")?.parse().ok()?;
        Some(Self::Length(length))
    }
}

/// Reads a body; `None` when no byte comes within the deadline. Gives the trailers, and whether
/// the body ended as announced.
pub async fn read_body(
    reader: &mut (impl AsyncBufRead + Unpin),
    framing: Framing,
    deadline: Duration,
    sink: &mut impl FnMut(&[u8]),
) -> Option<(Headers, bool)> {
    match framing {
        Framing::Length(length) => {
            let complete = pass(reader, length, deadline, sink).await?;
            Some((Headers::default(), complete))
        }
        Framing::ToEnd => {
            pass(reader, u64::MAX, deadline, sink).await?;
            Some((Headers::default(), true))
        }
        Framing::Chunked => chunks(reader, deadline, sink).await,
    }
}

async fn chunks(
    reader: &mut (impl AsyncBufRead + Unpin),
    deadline: Duration,
    sink: &mut impl FnMut(&[u8]),
) -> Option<(Headers, bool)> {
    loop {
        let line = line(reader, deadline).await?;
        let text = latin1(&line);
        let size = text.split(';').next().unwrap_or_default().trim().to_owned();
        let Ok(size) = u64::from_str_radix(&size, 16) else {
            return Some((Headers::default(), false));
        };
        if size == 0 {
            return trailers(reader, deadline).await;
        }
        if !pass(reader, size, deadline, sink).await? {
            return Some((Headers::default(), false));
        }
        self::line(reader, deadline).await?;
    }
}

async fn trailers(
    reader: &mut (impl AsyncBufRead + Unpin),
    deadline: Duration,
) -> Option<(Headers, bool)> {
    let mut lines = Vec::new();
    loop {
        let line = line(reader, deadline).await?;
        if line.is_empty() {
            return Some((Headers::parse(&lines), true));
        }
        lines.push(line);
    }
}

async fn line(reader: &mut (impl AsyncBufRead + Unpin), deadline: Duration) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let _ = timeout(deadline, reader.read_until(b'\n', &mut line))
        .await
        .ok()?;
    while line.ends_with(b"\n") || line.ends_with(b"\r") {
        line.pop();
    }
    Some(line)
}

/// Hands over up to `left` bytes; whether all of them came.
async fn pass(
    reader: &mut (impl AsyncBufRead + Unpin),
    mut left: u64,
    deadline: Duration,
    sink: &mut impl FnMut(&[u8]),
) -> Option<bool> {
    while left > 0 {
        let read = timeout(deadline, reader.fill_buf()).await.ok()?;
        let Ok(buffer) = read else {
            return Some(false);
        };
        if buffer.is_empty() {
            return Some(false);
        }
        let take = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        sink(buffer.get(..take).unwrap_or_default());
        reader.consume(take);
        left -= take as u64;
    }
    Some(true)
}
