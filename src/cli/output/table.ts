/** A column is as wide as its widest cell plus the padding, and at least the minimum; the last cell of a row is not padded.
 *  Source: Go's text/tabwriter with the settings that Docker uses. */
export interface TableStyle {
  readonly minWidth: number;
  readonly padding: number;
}

/** `ps`, `volumes`, `stats`. */
export const listStyle: TableStyle = { minWidth: 10, padding: 3 };
/** `images`, `ls`. */
export const wideStyle: TableStyle = { minWidth: 20, padding: 3 };
/** `top`. */
export const narrowStyle: TableStyle = { minWidth: 4, padding: 2 };

/** One text a row, headings first. */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  { minWidth, padding }: TableStyle,
): readonly string[] {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) =>
    Math.max(minWidth, ...all.map((row) => width(row[column] ?? "") + padding)),
  );
  return all.map((row) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - width(cell)),
      )
      .join(""),
  );
}

/** In characters, as tabwriter counts them. */
function width(cell: string): number {
  return Array.from(cell).length;
}
