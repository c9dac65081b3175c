// How loud both sides are. In: analysers of the running call. Out: a number 0..1 per side, read by the meters on each frame.

export type Side = "caller" | "agent";

const analysers: Partial<Record<Side, AnalyserNode>> = {};
const samples = new Float32Array(512);

/** Put an analyser behind `source`; returns it, so that it can be connected further. */
export function measure(side: Side, source: AudioNode): AnalyserNode {
  const analyser = new AnalyserNode(source.context, { fftSize: samples.length });
  source.connect(analyser);
  analysers[side] = analyser;
  return analyser;
}

export function measureTrack(side: Side, context: AudioContext, track: MediaStreamTrack): AnalyserNode {
  return measure(side, new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) }));
}

export function forgetLevels(): void {
  delete analysers.caller;
  delete analysers.agent;
}

/** Loudness between 0 (-60 dB and below) and 1 (full scale). */
export function level(side: Side): number {
  const analyser = analysers[side];
  if (!analyser) return 0;
  analyser.getFloatTimeDomainData(samples);
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const decibels = 10 * Math.log10(sum / samples.length + 1e-9);
  return Math.min(1, Math.max(0, (decibels + 60) / 60));
}
