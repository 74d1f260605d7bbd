//! Lists that come page by page, as a stream of their items.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Cx, Poll, ready};

use super::call::{BadAnswer, CallFailed};
use crate::connection::EndReason;
use crate::jetstream::error::{RequestError, RequestErrorKind};

type Fetch<T> = Pin<Box<dyn Future<Output = Result<Fetched<T>, CallFailed>> + Send>>;

/// A page.
pub(in crate::jetstream) struct Fetched<T> {
    pub(in crate::jetstream) items: Vec<T>,
    /// Where the next page begins.
    pub(in crate::jetstream) next: Option<usize>,
}

/// The items of all pages. The next page is asked for when the last item of a page was taken. After an error the next
/// poll asks for the same page again, unless the error is for good.
pub(in crate::jetstream) struct Pages<T> {
    /// Asks for the page at this offset.
    ask: Box<dyn Fn(usize) -> Fetch<T> + Send>,
    asked: Option<Fetch<T>>,
    items: VecDeque<T>,
    /// Where the next page begins; `None` after the last one.
    next: Option<usize>,
}

impl<T> Pages<T> {
    pub(in crate::jetstream) fn new<F>(ask: impl Fn(usize) -> F + Send + 'static) -> Pages<T>
    where
        F: Future<Output = Result<Fetched<T>, CallFailed>> + Send + 'static,
    {
        Pages::after(Vec::new(), Some(0), ask)
    }

    /// The same after a page that is known, with the offset of the next one.
    pub(in crate::jetstream) fn after<F>(
        items: Vec<T>,
        next: Option<usize>,
        ask: impl Fn(usize) -> F + Send + 'static,
    ) -> Pages<T>
    where
        F: Future<Output = Result<Fetched<T>, CallFailed>> + Send + 'static,
    {
        Pages { ask: Box::new(move |offset| Box::pin(ask(offset))), asked: None, items: items.into(), next }
    }

    pub(in crate::jetstream) fn poll_item(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Result<T, RequestError>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            let Some(offset) = self.next else { return Poll::Ready(None) };
            let asked = self.asked.get_or_insert_with(|| (self.ask)(offset));
            let page = ready!(asked.as_mut().poll(cx));
            self.asked = None;
            match page {
                Ok(page) => {
                    // A page that would come again and again is the last one.
                    self.next = page.next.filter(|next| *next > offset);
                    self.items.extend(page.items);
                }
                Err(failed) => {
                    let error: RequestError = failed.into_error();
                    if is_for_good(&error) {
                        self.next = None;
                    }
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

/// Whether the same request would fail in the same way.
fn is_for_good(error: &RequestError) -> bool {
    matches!(error.kind(), RequestErrorKind::InvalidSubject | RequestErrorKind::NoResponders)
        || error.source_as::<EndReason>().is_some()
        || error.source_as::<crate::jetstream::wire::Error>().is_some()
        || error.source_as::<BadAnswer>().is_some()
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("ready", &self.items.len()).field("next", &self.next).finish_non_exhaustive()
    }
}

/// Declares a stream of a list's items.
macro_rules! list {
    ($(#[$doc:meta])* $name:ident of $item:ty, $error:ty) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use = "it asks for nothing until it is polled"]
        pub struct $name(pub(in crate::jetstream) crate::jetstream::run::pages::Pages<$item>);

        impl futures_core::Stream for $name {
            type Item = Result<$item, $error>;

            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                self.0.poll_item(cx)
            }
        }
    };
}
pub(in crate::jetstream) use list;
