// A Parquet file of required columns in one row group, plain and uncompressed. Metadata is Thrift's compact protocol.
// Columns: {name, type: "boolean" | "long" | "time" | "text" | "bytes", values}. Longs and times are BigInt.
"use strict";
function parquetFile(columns) {
  const encoder = new TextEncoder();
  const PHYSICAL = { boolean: 0, long: 2, time: 2, text: 6, bytes: 6 };
  const CONVERTED = { text: 0, time: 10 };
  const [I32, I64, BINARY, LIST, STRUCT] = [5, 6, 8, 9, 12];

  function bits(values) {
    const data = new Uint8Array(Math.ceil(values.length / 8));
    values.forEach((value, at) => { if (value) data[at >> 3] |= 1 << (at & 7); });
    return data;
  }
  function longs(values) {
    const view = new DataView(new ArrayBuffer(8 * values.length));
    values.forEach((value, at) => view.setBigInt64(8 * at, BigInt.asIntN(64, value), true));
    return new Uint8Array(view.buffer);
  }
  function texts(values) {
    const pieces = values.map((value) => (value instanceof Uint8Array ? value : encoder.encode(value)));
    const data = new Uint8Array(pieces.reduce((sum, piece) => sum + 4 + piece.length, 0));
    const view = new DataView(data.buffer);
    let at = 0;
    for (const piece of pieces) {
      view.setUint32(at, piece.length, true);
      data.set(piece, at + 4);
      at += 4 + piece.length;
    }
    return data;
  }
  function varint(value, out) {
    for (value = BigInt(value); value > 127n; value >>= 7n) out.push(Number(value & 127n) | 128);
    out.push(Number(value));
  }
  const zigzag = (value) => (BigInt(value) << 1n) ^ (BigInt(value) >> 63n);
  // Fields are [id, type, value]; a list is {type, values}.
  function struct(fields, out) {
    let last = 0;
    for (const [id, type, value] of fields) {
      out.push(((id - last) << 4) | type);
      last = id;
      write(type, value, out);
    }
    out.push(0);
  }
  function write(type, value, out) {
    if (type === I32 || type === I64) varint(zigzag(value), out);
    else if (type === BINARY) {
      const data = encoder.encode(value);
      varint(data.length, out);
      out.push(...data);
    } else if (type === STRUCT) struct(value, out);
    else if (type === LIST) {
      if (value.values.length < 15) out.push((value.values.length << 4) | value.type);
      else { out.push(0xf0 | value.type); varint(value.values.length, out); }
      value.values.forEach((one) => write(value.type, one, out));
    }
  }

  const rows = columns[0].values.length;
  const chunks = [encoder.encode("PAR1")];
  const chunkFields = [];
  let offset = 4;
  for (const column of columns) {
    const encode = column.type === "boolean" ? bits : column.type === "long" || column.type === "time" ? longs : texts;
    const data = encode(column.values);
    const header = [];
    struct([
      [1, I32, 0], [2, I32, data.length], [3, I32, data.length],
      [5, STRUCT, [[1, I32, rows], [2, I32, 0], [3, I32, 3], [4, I32, 3]]],
    ], header);
    const size = header.length + data.length;
    chunkFields.push([
      [2, I64, offset],
      [3, STRUCT, [
        [1, I32, PHYSICAL[column.type]], [2, LIST, { type: I32, values: [0] }],
        [3, LIST, { type: BINARY, values: [column.name] }], [4, I32, 0], [5, I64, rows], [6, I64, size], [7, I64, size],
        [9, I64, offset],
      ]],
    ]);
    chunks.push(new Uint8Array(header), data);
    offset += size;
  }
  const elements = columns.map((column) => {
    const fields = [[1, I32, PHYSICAL[column.type]], [3, I32, 0], [4, BINARY, column.name]];
    return column.type in CONVERTED ? [...fields, [6, I32, CONVERTED[column.type]]] : fields;
  });
  const footer = [];
  struct([
    [1, I32, 1],
    [2, LIST, { type: STRUCT, values: [[[4, BINARY, "schema"], [5, I32, columns.length]], ...elements] }],
    [3, I64, rows],
    [4, LIST, { type: STRUCT, values: [[[1, LIST, { type: STRUCT, values: chunkFields }], [2, I64, offset - 4], [3, I64, rows]]] }],
    [6, BINARY, "raycluster report"],
  ], footer);
  const end = new Uint8Array(8);
  new DataView(end.buffer).setUint32(0, footer.length, true);
  end.set(encoder.encode("PAR1"), 4);
  return new Blob([...chunks, new Uint8Array(footer), end], { type: "application/vnd.apache.parquet" });
}
