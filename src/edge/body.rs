//! Bodies as streams of bytes, read chunk by chunk.

use std::cell::Cell;

use worker::Result;
use worker::js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{ReadableStream, ReadableStreamDefaultReader};

/// Reads a stream. Dropped before the end, it tells the sender to stop.
pub(super) struct Reader {
    inner: ReadableStreamDefaultReader,
    ended: Cell<bool>,
}

impl Reader {
    /// Begins to read a stream.
    pub(super) fn new(stream: &ReadableStream) -> Self {
        Self { inner: stream.get_reader().unchecked_into(), ended: Cell::new(false) }
    }

    /// The next chunk; none at the end.
    pub(super) async fn next(&self) -> Result<Option<Vec<u8>>> {
        let chunk = JsFuture::from(self.inner.read()).await.inspect_err(|_| self.ended.set(true))?;
        if Reflect::get(&chunk, &JsValue::from_str("done"))?.is_truthy() {
            self.ended.set(true);
            return Ok(None);
        }
        Ok(Some(Uint8Array::new(&Reflect::get(&chunk, &JsValue::from_str("value"))?).to_vec()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.ended.get() {
            // Nobody is left who could be told whether that worked.
            let _ = self.inner.cancel();
        }
    }
}

/// Reads a stream to its end, or until more than `max` bytes came; then the rest can be read from what is returned.
pub(super) async fn read_up_to(stream: &ReadableStream, max: usize) -> Result<(Vec<u8>, Option<Reader>)> {
    let reader = Reader::new(stream);
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await? {
        bytes.extend(chunk);
        if bytes.len() > max {
            return Ok((bytes, Some(reader)));
        }
    }
    Ok((bytes, None))
}
