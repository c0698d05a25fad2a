// Inside WeChat: opens its payment window. What it answers decides only where the page goes; whether money came is
// the server's word.
const text = document.getElementById("bridge");
const again = document.getElementById("bridge-again");

const pay = () => {
  again.hidden = true;
  window.WeixinJSBridge.invoke("getBrandWCPayRequest", JSON.parse(text.dataset.parameters), (answer) => {
    if (answer.err_msg === "get_brand_wcpay_request:ok") {
      location.replace(text.dataset.back);
      return;
    }
    text.textContent = answer.err_msg === "get_brand_wcpay_request:cancel" ? text.dataset.cancelled : text.dataset.failed;
    again.hidden = false;
  });
};

again.addEventListener("click", pay);
if (window.WeixinJSBridge) pay();
else document.addEventListener("WeixinJSBridgeReady", pay, { once: true });
