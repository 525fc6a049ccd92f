// What goes on by itself while a page is there: asked for again and again, but not while nobody looks.

// Do `work` every `seconds()`; it ends when that is 0, or when the page is left. `failed` is told of each error, and null after it passed.
export async function repeat(work, { signal, seconds, failed = () => {} }) {
  for (let wait = seconds(); wait && (await rested(wait, signal)); wait = seconds()) {
    try {
      await work();
      failed(null);
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  }
}

// After so many seconds, and when somebody looks: true, or false when the page was left.
function rested(seconds, signal) {
  return new Promise((resolve) => {
    const end = (value) => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", leave);
      resolve(value);
    };
    const leave = () => end(false);
    const look = () => { if (!document.hidden && over) end(true); };
    let over = false;
    const timer = setTimeout(() => { over = true; look(); }, seconds * 1000);
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", leave);
    if (signal.aborted) leave();
  });
}
