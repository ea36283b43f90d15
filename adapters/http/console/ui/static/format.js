// How numbers and times are written. Days and months are UTC, as quotas are; so is every time, for one truth everywhere.

const whole = new Intl.NumberFormat("en-US");
const percent = new Intl.NumberFormat("en-US", { style: "percent", maximumFractionDigits: 1 });
const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const exact = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 6 });
const utc = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const day = utc({ day: "numeric", month: "short", year: "numeric" });
const shortDay = utc({ day: "numeric", month: "short" });
const month = utc({ month: "long", year: "numeric" });
const hour = utc({ hour: "2-digit", minute: "2-digit" });
const clock = utc({ hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const count = (n) => whole.format(n);
export const share = (n) => percent.format(n);
export const dollarsAndCents = (n) => money.format(n);
export const price = (n) => exact.format(n);
export const dollars = (n) => "$" + whole.format(n);
export const likelihood = (n) => n.toFixed(3);
export const onDay = (time) => day.format(new Date(time));
export const onShortDay = (time) => shortDay.format(new Date(time));
export const atHour = (time) => hour.format(new Date(time));
export const atTime = (time) => clock.format(new Date(time));
export const inMonth = (text) => month.format(new Date(text + "-01T00:00:00Z"));

export function daysUntil(time) {
  const days = Math.ceil((new Date(time) - Date.now()) / 86_400_000);
  return days <= 1 ? "in less than a day" : `in ${days} days`;
}
