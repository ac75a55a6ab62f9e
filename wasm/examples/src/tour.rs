//! Tasks that wait for promises, timers and each other.

use std::time::Duration;

use js_sys::{Function, JsString, Promise, Reflect, global};
use volt::channel::{self, Sender};
use volt::local::{Delay, Handle};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::RUNTIME;

/// Fetches three texts at once, while a clock ticks, and gives what has happened, line by line.
///
/// # Errors
/// What the host's `fetch` refuses.
#[wasm_bindgen]
pub async fn tour() -> Result<String, JsValue> {
    let handle = RUNTIME.with(|runtime| runtime.handle());
    let (sender, receiver) = channel::bounded(1);

    let clock = handle.spawn(tick(handle.clone(), sender.clone()));
    let texts: Vec<_> = ["one", "two", "three"]
        .map(|text| handle.spawn(fetch(format!("data:text/plain,{text}"), sender.clone())))
        .into();
    drop(sender);

    let lines = handle.spawn(async move {
        let mut lines = Vec::new();
        while let Ok(line) = receiver.recv().await {
            lines.push(line);
        }
        lines
    });
    for text in texts {
        text.await.expect("the task ends")?;
    }
    clock.await.expect("the task ends");
    Ok(lines.await.expect("the task ends").join("\n"))
}

/// Tells three times that twenty milliseconds are over.
async fn tick(handle: Handle, sender: Sender<String>) {
    for number in 1..=3 {
        Delay::new(&handle, Duration::from_millis(20)).await;
        sender.send(format!("tick {number}")).await.expect("somebody receives");
    }
}

/// Tells what is at `url`.
async fn fetch(url: String, sender: Sender<String>) -> Result<(), JsValue> {
    let fetch = Reflect::get(&global(), &"fetch".into())?.dyn_into::<Function>()?;
    let response = await_promise(fetch.call1(&JsValue::UNDEFINED, &url.as_str().into())?).await?;
    let text = Reflect::get(&response, &"text".into())?.dyn_into::<Function>()?;
    let text = await_promise(text.call0(&response)?).await?;
    let line = format!("{url} is {}", text.unchecked_into::<JsString>());
    sender.send(line).await.expect("somebody receives");
    Ok(())
}

async fn await_promise(promise: JsValue) -> Result<JsValue, JsValue> {
    JsFuture::from(promise.dyn_into::<Promise>()?).await
}
