/** How far a follower of dated lines has come, so that another connection can go on there: no line missing, none twice. Pure.
 *  Several lines may bear one date, and one stream may be behind the other by a line that is not complete. */
import type { OutputLine } from "./log-lines.ts";

interface StreamPosition {
  /** Date of the last line. */
  time: string;
  /** Lines with this very date so far. */
  count: number;
  /** Of these, to be left out: they came over an earlier connection. */
  skip: number;
  /** The line that is being handed out in parts is left out as a whole. */
  skipping: boolean;
}

/** Engines date in UTC with nine digits: such texts compare as times. */
const dated = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) /;

export class LogPosition {
  readonly #streams = new Map<OutputLine["stream"], StreamPosition>();

  /** The date from which to ask again; undefined: nothing has come yet. */
  get since(): string | undefined {
    return [...this.#streams.values()].map(({ time }) => time).toSorted()[0];
  }

  /** Another connection begins, with what `since` says. */
  reconnect(): void {
    for (const position of this.#streams.values()) {
      position.skip = Math.max(position.skip, position.count);
      position.count = 0;
    }
  }

  /** Takes a dated line into account. @returns whether it is new */
  isNew({ stream, text }: OutputLine): boolean {
    const time = dated.exec(text)?.[1];
    const position = this.#streams.get(stream);
    if (time === undefined) return position?.skipping !== true; // a further part of a long line
    if (position === undefined || time > position.time) {
      this.#streams.set(stream, { time, count: 1, skip: 0, skipping: false });
      return true;
    }
    // A clock that was set back: newer lines are never taken for old ones, unless they are from before the last connection.
    const old = position.skip > 0 && (time < position.time || position.count < position.skip);
    if (time === position.time) position.count++;
    else if (!old) this.#streams.set(stream, { time, count: 1, skip: 0, skipping: false });
    if (position.count === position.skip) position.skip = 0;
    position.skipping = old;
    return !old;
  }
}

/** Takes the date off again. */
export function undated(text: string): string {
  return text.replace(dated, "");
}
