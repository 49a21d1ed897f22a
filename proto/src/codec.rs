//! How messages become frames: prost, with buffers of the size that our messages have.
//!
//! tonic sets 8 KiB aside for every message it reads and as much for every one it writes. A request
//! is some hundred bytes and an answer fewer, and what is larger makes its buffer grow.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Room for a request, in bytes.
const READ_BUFFER: usize = 1024;
/// Room for an answer, in bytes.
const WRITE_BUFFER: usize = 256;
/// How much may be waiting to be written before a stream is held, in bytes: tonic's own default.
const YIELD_THRESHOLD: usize = 32 * 1024;

/// Prost with small buffers.
#[derive(Clone, Copy, Debug)]
pub struct SmallBuffers<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallBuffers<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SmallBuffers<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(WRITE_BUFFER, YIELD_THRESHOLD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(READ_BUFFER, YIELD_THRESHOLD))
    }
}
