//! Notices that a client went away before it was answered (compatibility flag `enable_request_signal`).

use std::future::Future;

use worker::js_sys::Promise;
use worker::wasm_bindgen_futures::JsFuture;

use super::exchange::Exchange;

/// Ends when the client of the exchange goes away; never, if it stays.
pub(super) fn of(exchange: &Exchange) -> impl Future<Output = ()> + use<> {
    let signal = exchange.request.signal();
    let gone = Promise::new(&mut |resolve, reject| {
        let heard = signal.add_event_listener_with_callback("abort", &resolve);
        if let Err(error) = heard {
            // Only a signal that is no event target refuses a listener.
            let _ = reject.call1(&error, &error);
        } else if signal.aborted() {
            let _ = resolve.call0(&signal);
        }
    });
    async move {
        if JsFuture::from(gone).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
