// Runs on the browser's audio thread, for calls over the websocket.
// "capture": microphone samples at the machine's rate -> 16-bit samples at `sampleRate`, 20 ms a message.
// "playback": 16-bit samples at the context's own rate -> sound; the message "clear" drops what was not heard yet.

declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

/** Zero crossings of the filter on each side, in samples of the lower rate. */
const CROSSINGS = 8;

class Capture extends AudioWorkletProcessor {
  private readonly rate: number;
  private readonly step: number;
  private readonly reach: number;
  private history: Float32Array;
  /** Where the next output sample lies, counted in input samples from the start of `history`. */
  private at: number;
  private readonly out: Int16Array;
  private filled = 0;

  constructor(options: { processorOptions: { rate: number } }) {
    super();
    this.rate = options.processorOptions.rate;
    this.step = sampleRate / this.rate;
    this.reach = Math.ceil(CROSSINGS * Math.max(1, this.step));
    this.history = new Float32Array(2 * this.reach);
    this.at = this.reach;
    this.out = new Int16Array(this.rate / 50);
  }

  process(inputs: Float32Array[][]): boolean {
    const input = inputs[0]?.[0];
    if (!input) return true;
    const samples = new Float32Array(this.history.length + input.length);
    samples.set(this.history);
    samples.set(input, this.history.length);
    while (this.at + this.reach < samples.length) {
      this.emit(this.step === 1 ? samples[Math.round(this.at)]! : this.filtered(samples, this.at));
      this.at += this.step;
    }
    const used = Math.max(0, Math.floor(this.at) - this.reach);
    this.history = samples.slice(used);
    this.at -= used;
    return true;
  }

  /** A windowed sinc around `at`: resampling and the low-pass it needs in one. */
  private filtered(samples: Float32Array, at: number): number {
    const cutoff = Math.min(1, 1 / this.step);
    let sum = 0;
    let weights = 0;
    for (let i = Math.ceil(at - this.reach); i <= at + this.reach; i++) {
      const distance = i - at;
      const x = Math.PI * distance * cutoff;
      const weight = (x === 0 ? 1 : Math.sin(x) / x) * (0.5 + 0.5 * Math.cos((Math.PI * distance) / (this.reach + 1)));
      sum += weight * (samples[i] ?? 0);
      weights += weight;
    }
    return sum / weights;
  }

  private emit(sample: number): void {
    this.out[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
    if (this.filled === this.out.length) {
      this.port.postMessage(this.out.slice());
      this.filled = 0;
    }
  }
}

class Playback extends AudioWorkletProcessor {
  private queue: Int16Array[] = [];
  private offset = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<Int16Array | "clear">) => {
      if (data === "clear") {
        this.queue = [];
        this.offset = 0;
      } else this.queue.push(data);
    };
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const output = outputs[0]?.[0];
    if (!output) return true;
    for (let i = 0; i < output.length; i++) {
      const chunk = this.queue[0];
      if (!chunk) break;
      output[i] = chunk[this.offset++]! / 32768;
      if (this.offset === chunk.length) {
        this.queue.shift();
        this.offset = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
registerProcessor("playback", Playback);
