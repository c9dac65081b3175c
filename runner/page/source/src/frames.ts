// Frames of Pipecat's ProtobufFrameSerializer (frames.proto of Pipecat 1.14), written and read by hand: three message types do
// not need a protobuf library. In and out: bytes of one websocket message.
//
//   Frame         { oneof: text 1, audio 2, transcription 3, message 4, interruption 5 }
//   AudioRawFrame { audio 3: bytes of 16-bit samples, sample_rate 4, num_channels 5 }
//   MessageFrame  { data 1: an RTVI message as JSON }

export type Incoming =
  | { type: "audio"; samples: Int16Array; sampleRate: number }
  | { type: "message"; data: string }
  | { type: "interruption" }
  | { type: "other" };

const BYTES = 2; // protobuf wire type "length-delimited"

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

function field(number: number, payload: Uint8Array): Uint8Array {
  const head = [(number << 3) | BYTES, ...varint(payload.length)];
  const all = new Uint8Array(head.length + payload.length);
  all.set(head);
  all.set(payload, head.length);
  return all;
}

function together(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function writeAudio(samples: Int16Array, sampleRate: number): Uint8Array {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const numbers = new Uint8Array([4 << 3, ...varint(sampleRate), 5 << 3, 1]);
  return field(2, together(field(3, bytes), numbers));
}

export function writeMessage(message: unknown): Uint8Array {
  return field(4, field(1, new TextEncoder().encode(JSON.stringify(message))));
}

/** Every field of one protobuf message: its number and its payload, or its value for numbers. */
function* fieldsOf(bytes: Uint8Array): Generator<{ number: number; payload: Uint8Array; value: number }> {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("a frame ended too early");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = readVarint();
    const wire = key & 7;
    let payload = new Uint8Array();
    let value = 0;
    if (wire === 0) value = readVarint();
    else if (wire === BYTES) {
      const length = readVarint();
      payload = bytes.subarray(at, at + length) as Uint8Array<ArrayBuffer>;
      at += length;
    } else at += wire === 1 ? 8 : 4;
    yield { number: key >> 3, payload, value };
  }
}

export function readFrame(bytes: Uint8Array): Incoming {
  for (const { number, payload } of fieldsOf(bytes)) {
    if (number === 5) return { type: "interruption" };
    if (number === 4) {
      for (const inner of fieldsOf(payload)) {
        if (inner.number === 1) return { type: "message", data: new TextDecoder().decode(inner.payload) };
      }
    }
    if (number === 2) {
      let samples = new Int16Array();
      let sampleRate = 0;
      for (const inner of fieldsOf(payload)) {
        // Copied, because samples need an even offset.
        if (inner.number === 3) samples = new Int16Array(inner.payload.slice().buffer);
        if (inner.number === 4) sampleRate = inner.value;
      }
      return { type: "audio", samples, sampleRate };
    }
  }
  return { type: "other" };
}
