"""What web sites say around their texts, in the languages that most of them are in."""

NOTICES = """
we use cookies|this website uses cookies|this site uses cookies|uses cookies to|accept all cookies|accept cookies
cookie policy|cookie settings|cookie preferences|manage cookies|manage preferences|your privacy choices
privacy policy|terms of service|terms of use|terms and conditions|all rights reserved|do not sell my
enable javascript|javascript is disabled|javascript is required|turn on javascript|browser does not support
skip to content|skip to main content|toggle navigation|subscribe to our newsletter|sign up for our newsletter
powered by wordpress|must be logged in|copyright ©|store and or access information on a device|wir verwenden cookies
diese website verwendet cookies|alle cookies akzeptieren|datenschutzerklärung|alle rechte vorbehalten
zum inhalt springen|in den warenkorb|newsletter abonnieren|nous utilisons des cookies|ce site utilise des cookies
tout accepter|politique de confidentialité|mentions légales|tous droits réservés|ajouter au panier|aller au contenu
utilizamos cookies|este sitio utiliza cookies|este sitio web utiliza cookies|aceptar todas|política de privacidad
política de cookies|todos los derechos reservados|añadir al carrito|saltar al contenido|utilizziamo i cookie
questo sito utilizza i cookie|tutti i diritti riservati|usamos cookies|todos os direitos reservados
мы используем файлы cookie|политика конфиденциальности|все права защищены|本网站使用cookie|本站使用cookie
继续浏览即表示|隐私政策|用户协议|服务条款|版权所有|保留所有权利|免责声明|网站地图|友情链接|返回顶部|设为首页
收藏本站|加入收藏|在线留言|扫一扫|微信公众号|客服热线|icp备|公网安备|登录后可|请升级浏览器|浏览器版本过低|分享到
加入购物车|立即登录|立即注册|点击加载更多|浏览次数|打印本页|关闭窗口|クッキーを使用|cookieを使用
プライバシーポリシー|利用規約|サイトマップ|ページの先頭|無断転載|쿠키를 사용|개인정보처리방침|이용약관
سياسة الخصوصية|جميع الحقوق محفوظة|गोपनीयता नीति
"""
"""A line with one of them, and not much else, is boilerplate."""

MENU = """
home|about|about us|contact|contact us|products|services|solutions|blog|news|shop|store|sale|login|log in|sign in
sign up|sign out|logout|register|subscribe|my account|account|cart|checkout|wishlist|search|help|faq|faqs|support
careers|jobs|press|investors|gallery|events|downloads|download|forum|forums|videos|photos|pricing|menu|close|next
previous|prev|more|read more|learn more|view all|see all|show more|sitemap|site map|privacy|terms|cookies|imprint
legal|accept|decline|reject|accept all|reject all|ok|got it|submit|cancel|share|tweet|pin it|email|print|reply
report|like|comments|tags|categories|archives|facebook|twitter|instagram|youtube|linkedin|pinterest|tiktok|rss
whatsapp|men|women|kids|shoes|accessories|sports|politics|business|technology|tech|travel|entertainment|health
science|world|opinion|weather|culture|style|food|music|movies|games|fashion|lifestyle|education|finance|featured
newest|popular|recent posts|archive|all categories|english|deutsch|français|español|italiano|português|中文|日本語
русский|startseite|über uns|kontakt|anmelden|registrieren|warenkorb|suche|hilfe|accueil|à propos|connexion|panier
recherche|inicio|sobre nosotros|contacto|iniciar sesión|carrito|buscar|ayuda|首页|公司简介|产品中心|产品展示
新闻中心|招聘信息|人才招聘|登录|注册|购物车|我的订单|帮助中心|更多|体育|娱乐|财经|科技|汽车|房产|教育|健康|军事|视频
图片|博客|论坛|社会|国际|旅游|时尚|游戏|音乐|微信|微博|qq空间|豆瓣|搜索|联系我们|关于我们|网站地图|友情链接|返回顶部
上一篇|下一篇|设为首页|收藏本站|在线留言|ホーム|会社概要|ログイン|新規登録|検索|メニュー|次へ|前へ|もっと見る
load more|posted in|filed under|sort by|share this|free shipping on orders|enter your email address|follow us on
related posts|related articles|add to cart|add to basket|leave a comment|leave a reply|back to top|tagged with
log in to reply|share on facebook|上一条|下一条|回到顶部|返回列表|お問い合わせ|impressum
"""
"""A line that consists of them is boilerplate."""

FILLER = """
lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua
enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea commodo consequat duis aute irure in
reprehenderit voluptate velit esse cillum eu fugiat nulla pariatur excepteur sint occaecat cupidatat non proident sunt
culpa qui officia deserunt mollit anim id est laborum vestibulum pellentesque vivamus maecenas curabitur suspendisse
praesent phasellus fusce donec aenean nullam etiam mauris tincidunt vulputate ultrices posuere cubilia curae
"""


def listed(phrases: str) -> list[str]:
    """The phrases of one of these tables."""
    return [phrase for line in phrases.strip().splitlines() for phrase in line.split("|")]
