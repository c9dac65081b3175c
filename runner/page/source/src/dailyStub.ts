// Stands in for daily-js. Only the class DailyMediaManager of the Pipecat transport library would call it, and the page
// never makes one; reaching this is a bug.
export default {
  createCallObject(): never {
    throw new Error("daily-js is not part of this page");
  },
};
