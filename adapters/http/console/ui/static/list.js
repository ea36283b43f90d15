// A list that is read page by page, newest first.

import { useEffect, useState } from "./vendor/preact.js";
import { read, useRead } from "./api.js";
import { useBusy } from "./ui.js";

// useList reads the list that answers of a path hold under a name; cursor is the field that asks for the page behind `next`. The
// first page is read again like any other read, and what is new comes before the pages that were read already.
export function useList(path, name, cursor) {
  const first = useRead(path);
  const [older, setOlder] = useState({ items: [], next: null });
  const { busy, error, run } = useBusy();
  useEffect(() => setOlder({ items: [], next: null }), [path]);
  useEffect(() => {
    if (!first.data) return;
    const page = first.data[name];
    setOlder((old) => {
      const known = new Set(old.items.map((item) => item.id));
      const joins = old.items.length === 0 || page.some((item) => known.has(item.id)); // else there is a gap between the two
      const fresh = new Set(page.map((item) => item.id));
      return joins && old.items.length > 0 ? { items: [...page, ...old.items.filter((item) => !fresh.has(item.id))], next: old.next } : { items: page, next: first.data.next };
    });
  }, [first.data]);
  const more = () => run(async () => {
    const { answer } = await read(`${path}${path.includes("?") ? "&" : "?"}${cursor}=${older.next}`);
    setOlder((old) => ({ items: [...old.items, ...answer[name]], next: answer.next }));
  });
  return { ...first, data: first.data && older.next !== null ? older : null, more, busy, moreError: error };
}
